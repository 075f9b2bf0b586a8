// How a dialog with a form behaves: what it asks for is sent once at a time, and it cannot be left meanwhile by Escape or its buttons.

/**
 * Calls `send` with what `read` makes of the form, each time that it is submitted; nothing is sent where `read` returns nothing. A closed
 * dialog leaves the page.
 */
export function sendOnSubmit({ dialog, form, problem, buttons, read, send }) {
  let running = false;
  dialog.addEventListener('cancel', (event) => { if (running) event.preventDefault(); });
  dialog.addEventListener('close', () => dialog.remove());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (running) return;
    const body = read();
    if (!body) return;
    running = true;
    for (const it of buttons) it.disabled = true;
    form.setAttribute('aria-busy', 'true');
    problem.replaceChildren();
    try {
      await send(body);
    } finally {
      running = false;
      for (const it of buttons) it.disabled = false;
      form.removeAttribute('aria-busy');
    }
  });
}
