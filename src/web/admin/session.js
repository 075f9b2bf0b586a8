// The operator's login, kept as long as the tab.

import { tab } from '../common/kept.js';

const KEY = 'laurel.admin';

export const token = () => tab.get(KEY);
export const keep = (jwt) => tab.set(KEY, jwt);
export const forget = () => tab.set(KEY, null);

/** The name in the login, to be shown. Whether it may do anything is for the API to say. */
export function name() {
  try {
    const claims = token().split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    return JSON.parse(atob(claims)).username ?? '';
  } catch {
    return '';
  }
}
