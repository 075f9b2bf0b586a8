// The hash's query, where a view keeps what was chosen in it.

/** Keeps some values without leaving the view; an empty one goes. A reload, or whoever gets the link, sees the same. */
export function remember(values) {
  const [path, text] = location.hash.split('?');
  const query = new URLSearchParams(text);
  for (const [name, value] of Object.entries(values)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const rest = query.toString();
  history.replaceState(null, '', `${path || '#/overview'}${rest ? `?${rest}` : ''}`);
}
