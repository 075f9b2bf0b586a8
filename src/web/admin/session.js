// The operator's login, kept as long as the tab.

const KEY = 'laurel.admin';

export const token = () => sessionStorage.getItem(KEY);
export const keep = (jwt) => sessionStorage.setItem(KEY, jwt);
export const forget = () => sessionStorage.removeItem(KEY);

/** The name in the login, to be shown. Whether it may do anything is for the API to say. */
export function name() {
  try {
    const claims = token().split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    return JSON.parse(atob(claims)).username ?? '';
  } catch {
    return '';
  }
}
