// A question, in a dialog; the time that its token lives is shown running out.

const dialog = document.getElementById('quiz');
const left = document.getElementById('quiz-left');
const choices = document.getElementById('quiz-choices');
const free = document.getElementById('quiz-free');
const go = document.getElementById('quiz-go');
let earlier = Promise.resolve();

/** No answer was given; the message says why, to the player. */
export class NoAnswer extends Error {}

const noAnswer = (why) => new NoAnswer(`${why} This question is gone. Play again for a new one.`);

/** Asks, and gives the answer; a question at a time, while each one's own clock runs. */
export function ask(challenge, seconds, signal) {
  const until = performance.now() + seconds * 1000;
  const answer = earlier.then(() => show(challenge, until, signal));
  earlier = answer.catch(() => {});
  return answer;
}

async function show({ question, choices: given = [] }, until, signal) {
  signal.throwIfAborted();
  if (performance.now() >= until) throw noAnswer('Time is up.');
  document.getElementById('quiz-question').textContent = question;
  choices.replaceChildren(...given.map(choice));
  const typed = given.length === 0;
  free.hidden = go.hidden = !typed;
  free.firstElementChild.value = '';
  free.firstElementChild.required = typed;
  const tick = () => {
    const rest = Math.ceil((until - performance.now()) / 1000);
    left.textContent = `${Math.max(0, rest)} seconds left`;
    if (rest <= 0) dialog.close('');
  };
  tick();
  const clock = setInterval(tick, 250);
  const leave = () => dialog.close('');
  signal.addEventListener('abort', leave);
  dialog.returnValue = '';
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener('close', closed, { once: true }));
  clearInterval(clock);
  signal.removeEventListener('abort', leave);
  const said = typed && dialog.returnValue === 'go' ? free.firstElementChild.value : dialog.returnValue;
  if (said !== '') return said;
  throw noAnswer(performance.now() >= until ? 'Time is up.' : 'You gave up.');
}

function choice(text) {
  const button = document.createElement('button');
  button.type = 'submit';
  button.value = text;
  button.textContent = text;
  return button;
}
