// The quiz dialog: one question at a time, with the time left before its token expires.

const dialog = document.getElementById('quiz');
const timeLeft = document.getElementById('quiz-time');
const choiceList = document.getElementById('quiz-choices');
const textField = document.getElementById('quiz-text');
const submit = document.getElementById('quiz-submit');
let previous = Promise.resolve();

/** The player gave no answer. The message is for the player. */
export class NoAnswer extends Error {}

const noAnswer = (reason) => new NoAnswer(`${reason} Play again for a new question.`);

/** Returns the player's answer. Questions wait for each other, and each one's time runs from this call. */
export function ask(challenge, seconds, signal) {
  const deadline = performance.now() + seconds * 1000;
  const answer = previous.then(() => show(challenge, deadline, signal));
  previous = answer.catch(() => {});
  return answer;
}

async function show({ question, choices = [] }, deadline, signal) {
  signal.throwIfAborted();
  if (performance.now() >= deadline) throw noAnswer('Time is up.');
  document.getElementById('quiz-question').textContent = question;
  choiceList.replaceChildren(...choices.map(choiceButton));
  const isTyped = choices.length === 0;
  const input = textField.querySelector('input');
  textField.hidden = submit.hidden = !isTyped;
  input.value = '';
  input.required = isTyped;
  const tick = () => {
    const seconds = Math.ceil((deadline - performance.now()) / 1000);
    timeLeft.textContent = `${Math.max(0, seconds)} seconds left`;
    if (seconds <= 0) dialog.close('');
  };
  tick();
  const clock = setInterval(tick, 250);
  const abort = () => dialog.close('');
  signal.addEventListener('abort', abort);
  dialog.returnValue = '';
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener('close', closed, { once: true }));
  clearInterval(clock);
  signal.removeEventListener('abort', abort);
  const answer = isTyped && dialog.returnValue === 'submit' ? input.value : dialog.returnValue;
  if (answer !== '') return answer;
  throw noAnswer(performance.now() >= deadline ? 'Time is up.' : 'You gave up.');
}

function choiceButton(text) {
  const button = document.createElement('button');
  button.type = 'submit';
  button.value = text;
  button.textContent = text;
  return button;
}
