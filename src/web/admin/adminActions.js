// What an admin can do to players, each with a dialog that says what will happen and asks for a reason.

import {
  confirmationBox, makeDialog, NO_REASON, NOT_CONFIRMED, openActionDialog, reasonInput, sendOnSubmit, show, showProblems,
} from './actionDialog.js';
import { get, ownName, post } from './api.js';
import { make } from './elements.js';
import { counted, number, points } from './format.js';
import { showError, showFieldErrors, showResult } from './notices.js';

/** The actions by their path in the API, as `openActionDialog` needs them. `isAvailable` says if the user's state allows it. */
const ACTIONS = {
  adjust: {
    label: 'Adjust', title: (user) => `Adjust the score of ${user.username}`, submit: 'Adjust', changesScore: true, isAvailable: (user) => !user.quarantined,
    effects: () => ['Adds a ledger entry with your name and the reason. Every board shows the new score within a second.'],
    result: (user, outcome) => `${user.username} now has ${points(outcome.newScore)} (before: ${number(outcome.scoreBefore)}).`,
  },
  quarantine: {
    label: 'Quarantine', title: (user) => `Quarantine ${user.username}`, submit: 'Quarantine', isAvailable: (user) => !user.quarantined,
    effects: (user) => [`${user.username} can keep playing, but new points are held. Others still see ${user.banned ? 'nothing' : points(user.shown)}.`, 'Approve or void the held points later.'],
    result: (user) => `${user.username} is quarantined.`,
  },
  approve: {
    label: 'Approve', title: (user) => `Approve the held points of ${user.username}`, submit: 'Approve', isAvailable: (user) => user.quarantined,
    effects: (user) => [user.banned ? 'The held points count once the ban is lifted.' : `Adds the ${points(held(user))} held so far to the public score: ${number(user.shown)} becomes ${number(user.score)}.`, 'Ends the quarantine.'],
    result: (user) => `The held points of ${user.username} are approved.`,
  },
  void: {
    label: 'Void', isDanger: true, title: (user) => `Void the held points of ${user.username}`, submit: 'Void points', isAvailable: (user) => user.quarantined,
    effects: (user) => [user.banned ? 'Removes the held points.' : `Removes the ${points(held(user))} held so far, and any earned before you confirm. New score: ${number(user.shown)}.`, 'Ends the quarantine. Only an adjustment can bring the points back.'],
    confirmation: (user) => `Yes, void the held points of ${user.username}`,
    result: (user, outcome) => (outcome.newScore === null ? `${user.username} had no held points.` : `${user.username} now has ${points(outcome.newScore)} (before: ${number(outcome.scoreBefore)}).`),
  },
  ban: {
    label: 'Ban', isDanger: true, title: (user) => `Ban ${user.username}`, submit: 'Ban', isAvailable: (user) => !user.banned,
    effects: (user) => [`Within a second, ${user.username} leaves every board and is disconnected from all nodes. ${user.username} can’t log in or earn points.`, `The score of ${points(user.score)} is kept. Unbanning restores it.`],
    confirmation: (user) => `Yes, ban ${user.username} (number ${user.userId})`,
    result: (user) => `${user.username} is banned.`,
  },
  unban: {
    label: 'Unban', title: (user) => `Unban ${user.username}`, submit: 'Unban', isAvailable: (user) => user.banned,
    effects: (user) => [`${user.username} can log in and earn points again, and returns to the board with ${user.quarantined ? 'the score before the quarantine' : points(user.score)}.`],
    result: (user) => `${user.username} is unbanned.`,
  },
};

const held = (user) => user.score - user.shown;

/** Buttons for the available actions, or for some of them. `onDone` redraws the view. */
export function actionButtons(user, onDone, names = Object.keys(ACTIONS)) {
  return Object.entries(ACTIONS).filter(([name, action]) => names.includes(name) && action.isAvailable(user)).map(([name, action]) =>
    make(`button.small${action.isDanger ? '.danger' : ''}`, { type: 'button', 'data-action': name, on: { click: () => open(name, user, onDone) } }, `${action.label}…`));
}

let isOpening = false;

/** Opens the dialog with the user's current state. */
async function open(name, listedUser, onDone) {
  if (isOpening) return;
  isOpening = true;
  const openedAt = location.hash;
  let user;
  try {
    user = await get(`/api/admin/users/${listedUser.id}`);
  } catch (error) {
    showResult(error.message);
    return;
  } finally {
    isOpening = false;
  }
  if (openedAt !== location.hash) return;
  const action = ACTIONS[name];
  if (!action.isAvailable(user)) {
    showResult(`Another admin was faster. The page shows ${user.username}’s current state.`);
    onDone();
    return;
  }
  const note = user.username === ownName() && 'This is your own account.';
  openActionDialog({ action, subject: user, note, path: `/api/admin/users/${user.id}/${name}`, onDone });
}

/** A button that bans several players. `onDone` redraws the view. */
export function banAllButton(players, address, onDone) {
  return make('button.small.danger', { type: 'button', on: { click: () => openBanAllDialog(players, address, onDone) } }, `Ban all ${players.length}…`);
}

function openBanAllDialog(players, address, onDone) {
  const title = `Ban ${counted(players.length, 'player')} behind ${address}`;
  const reason = reasonInput({ 'data-first': true });
  const confirmed = confirmationBox();
  const problem = make('div.outlet', { role: 'alert' });
  const submit = make('button.danger.solid', {}, 'Ban all');
  const cancel = make('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel');
  const form = make('form', { novalidate: true },
    make('label', {}, 'Reason, for the audit log', reason),
    make('label.check', {}, confirmed, `Yes, ban these ${players.length} players`),
    problem, make('div.buttons', {}, cancel, submit));
  const dialog = makeDialog(title, [
    make('p', {}, players.map((player) => player.username).join(', ')),
    make('p', {}, 'Within a second, they leave every board and are disconnected from all nodes. They can’t log in or earn points. Their scores are kept: unbanning a player restores the score.'),
  ], form);
  const remaining = [...players];
  sendOnSubmit({ dialog, form, problem, buttons: [submit, cancel], read, send });

  async function send(body) {
    try {
      // One by one. Banned players leave the list, so a repeat continues where this one failed.
      for (; remaining.length; remaining.shift()) await post(`/api/admin/users/${remaining[0].suspect}/ban`, body);
      dialog.close();
      showResult(`${counted(players.length, 'player')} banned.`);
      onDone();
    } catch (error) {
      const progress = `${players.length - remaining.length} of ${counted(players.length, 'player')} banned.`;
      if (!dialog.open) showResult(`${title}: ${error.message} ${progress}`);
      else if (!showFieldErrors(form, error)) {
        showError(problem, error);
        problem.append(make('p', {}, progress));
      }
      onDone();
    }
  }

  function read() {
    const problems = [];
    if (!reason.value.trim()) problems.push(NO_REASON);
    if (!confirmed.checked) problems.push(NOT_CONFIRMED);
    return showProblems(form, problems) ? null : { reason: reason.value.trim() };
  }

  show(dialog);
}
