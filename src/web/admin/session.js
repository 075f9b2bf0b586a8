// The operator's login, kept as long as the tab.

import { tab } from '/assets/common/kept.js';
import { payload } from '/assets/laurel/login.js';

const KEY = 'laurel.admin';

export const token = () => tab.get(KEY);
export const keep = (jwt) => tab.set(KEY, jwt);
export const forget = () => tab.set(KEY, null);

/** The name in the login, to be shown. Whether it may do anything is for the API to say. */
export const name = () => payload(token() ?? '')?.username ?? '';
