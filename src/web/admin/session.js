// The operator's login, kept as long as the tab.

import { payload } from '/assets/laurel/login.js';

const KEY = 'laurel.admin';

export const token = () => sessionStorage.getItem(KEY);
export const keep = (jwt) => sessionStorage.setItem(KEY, jwt);
export const forget = () => sessionStorage.removeItem(KEY);

/** The name in the login, to be shown. Whether it may do anything is for the API to say. */
export const name = () => payload(token() ?? '')?.username ?? '';
