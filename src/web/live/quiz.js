// A question, in a dialog; the time that its token lives is shown running out.

const dialog = document.getElementById('quiz');
const left = document.getElementById('quiz-left');
const choices = document.getElementById('quiz-choices');
const free = document.getElementById('quiz-free');
const go = document.getElementById('quiz-go');

/** Whoever was asked would rather not. */
export class GaveUp extends Error {}

/** Asks, and gives the answer. */
export function ask({ question, choices: given = [] }, seconds) {
  document.getElementById('quiz-question').textContent = question;
  choices.replaceChildren(...given.map(choice));
  const typed = given.length === 0;
  free.hidden = go.hidden = !typed;
  free.firstElementChild.value = '';
  free.firstElementChild.required = typed;
  const until = performance.now() + seconds * 1000;
  const tick = () => {
    const rest = Math.ceil((until - performance.now()) / 1000);
    left.textContent = `${Math.max(0, rest)} seconds left`;
    if (rest <= 0) dialog.close('');
  };
  tick();
  const clock = setInterval(tick, 250);
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((answer, giveUp) => {
    dialog.addEventListener('close', () => {
      clearInterval(clock);
      const said = typed && dialog.returnValue === 'go' ? free.firstElementChild.value : dialog.returnValue;
      if (said === '') giveUp(new GaveUp());
      else answer(said);
    }, { once: true });
  });
}

function choice(text) {
  const button = document.createElement('button');
  button.type = 'submit';
  button.value = text;
  button.textContent = text;
  return button;
}
