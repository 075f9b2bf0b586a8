// Plays with the client that openapi-generator makes from the document.

import { ActionsApi, AuthApi, Configuration, ErrorCode, ErrorResponseFromJSON, ResponseError } from './typescript-fetch';

declare const process: { argv: string[] };

function assertEqual(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${String(actual)} is not ${String(expected)}`);
}

async function main(): Promise<void> {
  const basePath = process.argv[2];
  const auth = new AuthApi(new Configuration({ basePath }));
  const registerRequest = { username: 'typescript', email: 'typescript@example.com', password: 'correct horse' };
  const { data } = await auth.register({ registerRequest });
  const actions = new ActionsApi(new Configuration({ basePath, accessToken: data.token }));
  const { antiSpamToken } = await actions.initAction({ initActionRequest: { actionType: 'watch_ad' } });
  const award = await actions.finalizeAction({ finalizeActionRequest: { antiSpamToken } });
  assertEqual(award.newScore, 10);
  assertEqual(award.leaderboard[0]?.username, 'typescript');
  try {
    await actions.finalizeAction({ finalizeActionRequest: { antiSpamToken } });
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    const { data: errorData, metadata } = ErrorResponseFromJSON(await error.response.json());
    assertEqual(errorData, null);
    assertEqual(metadata.errorCode, ErrorCode.TokenAlreadyUsed);
    return;
  }
  throw new Error('a token was redeemed twice');
}

void main();
