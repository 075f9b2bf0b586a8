// Texts of the live page, for many values.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const source = readFileSync(new URL('../../src/web/live/labels.js', import.meta.url), 'utf8');
const { describeLimit, nextPlaceOf, periodOf, progressOf, scoreOf, timeLeftOf } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

test('an award names its points and the change of rank', () => {
  const cases = [
    [10, 2, 2, '+10 points. You are still 2nd.'],
    [10, 1, 2, '+10 points. You rose from 2nd to 1st.'],
    [15, 3, 4, '+15 points. You rose from 4th to 3rd.'],
    [1, 11, 12, '+1 point. You rose from 12th to 11th.'],
    [1200, 1021, 20003, '+1,200 points. You rose from 20,003rd to 1,021st.'],
    [10, 2, null, '+10 points. You are 2nd.'],
    [10, 113, 113, '+10 points. You are still 113th.'],
    [-10, 5, 2, '-10 points. You fell from 2nd to 5th.'],
    [-10, null, 2, '-10 points.'],
    [-1, 1, 1, '-1 point. You are still 1st.'],
  ];
  for (const [points, rank, before, expected] of cases) assert.equal(progressOf(points, rank, before), expected);
});

test('the points to the next place follow from the board', () => {
  const board = (...scores) => scores.map((score) => ({ score, rank: 1 + scores.filter((other) => other > score).length }));
  const full = board(90, 80, 70, 70, 50, 40, 30, 20, 20, 10);
  const cases = [
    [0, null, undefined, ''],
    [0, [], undefined, 'Any points put you in the top 10.'],
    [0, board(20, 10), undefined, 'Any points put you in the top 10.'],
    [0, full, undefined, '11 points to the top 10.'],
    [10, full, undefined, '1 point to the top 10.'],
    [0, board(...Array(10).fill(5_000)), undefined, '5,001 points to the top 10.'],
    // The board is older than the player's score.
    [11, full, undefined, ''],
    [90, full, full[0], ''],
    [80, full, full[1], '10 points to 1st place.'],
    [70, full, full[3], '10 points to 2nd place.'],
    [50, full, full[4], '20 points to 3rd place.'],
    [20, full, full[8], '10 points to 7th place.'],
    [10, full, full[9], '10 points to 8th place.'],
    [7, board(7, 7), board(7, 7)[1], ''],
  ];
  for (const [score, rows, own, expected] of cases) assert.equal(nextPlaceOf(score, rows, own), expected, `${score} ${expected}`);
});

test('a limit names its end, even if the clock is some minutes wrong', (context) => {
  const HOUR = 3_600_000;
  const limits = (cooldownMs, capPerHour, capPerDay) => ({ limits: { cooldownMs, capPerHour, capPerDay } });
  const cases = [
    ['2026-11-30T15:20:00Z', limits(0, 0, 1), 8 * HOUR + 40 * 60_000, 'Done for today, back at 00:00 UTC'],
    ['2026-11-30T15:27:00Z', limits(0, 0, 3), 8 * HOUR + 40 * 60_000, 'Done for today, back at 00:00 UTC'],
    ['2026-11-30T23:59:58Z', limits(0, 0, 1), 3_000, 'Done for today, back at 00:00 UTC'],
    ['2026-11-30T15:20:00Z', limits(0, 5, 0), 40 * 60_000, 'Done for this hour, back at 16:00 UTC'],
    ['2026-11-30T15:20:00Z', limits(60_000, 5, 20), 40 * 60_000, 'Done for this hour, back at 16:00 UTC'],
    ['2026-11-30T15:20:00Z', limits(60_000, 5, 20), 8 * HOUR + 40 * 60_000, 'Done for today, back at 00:00 UTC'],
    ['2026-11-30T15:20:00Z', limits(60_000, 0, 1), 30_000, 'Not available yet'],
    ['2026-11-30T15:20:00Z', limits(0, 0, 0), 30_000, 'Not available yet'],
  ];
  for (const [now, action, ms, expected] of cases) {
    const clock = context.mock.method(Date, 'now', () => Date.parse(now));
    assert.equal(describeLimit(action, ms), expected);
    clock.mock.restore();
  }
});

test('a score has the decimal places of its board', () => {
  const cases = [[12345, 0, '12,345'], [12345, 2, '123.45'], [-5, 3, '-0.005'], [0, 1, '0.0'], [2 ** 53 - 1, 0, '9,007,199,254,740,991']];
  for (const [score, decimals, expected] of cases) assert.equal(scoreOf(score, decimals), expected);
});

test('the time left in a period has its two largest units', () => {
  const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];
  const cases = [
    [2 * day + 4 * hour + 59 * minute, 'Ends in 2 d 4 h'],
    [31 * day, 'Ends in 31 d'],
    [day + 20 * minute, 'Ends in 1 d'],
    [hour + minute, 'Ends in 1 h 1 min'],
    [minute + 9 * second, 'Ends in 1 min 9 s'],
    [1, 'Ends in 1 s'],
    [0, 'Ends now'],
    [-day, 'Ends now'],
  ];
  for (const [ms, expected] of cases) assert.equal(timeLeftOf(ms), expected);
});

test('a period has a name', () => {
  const cases = [
    ['2026-11-28', '28 November 2026'], ['2026-W08', 'Week 8, 2026'], ['2026-01', 'January 2026'], ['2026', '2026'], ['p17', '17, from 1 December 2026'], ['all', 'all'],
  ];
  for (const [id, expected] of cases) assert.equal(periodOf({ id, startsAt: '2026-12-01T09:00:00.000Z' }), expected);
});
