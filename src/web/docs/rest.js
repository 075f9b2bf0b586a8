// Swagger UI with this server's OpenAPI document. Requests go to this server.

// Responses of these never end. They are tried out under Sockets.
const STREAMS = ['/api/v1/ws', '/api/v1/leaderboard/stream', '/socket.io/'];

const withoutStreams = {
  statePlugins: {
    spec: {
      wrapSelectors: {
        allowTryItOutFor: (allow) => (state, path, method) => !STREAMS.includes(path) && allow(state, path, method),
      },
    },
  },
};

/** Adds the accessible names that Swagger UI lacks, and makes scrolling regions reachable by keyboard. */
function addAccessibility(root) {
  const label = (selector, text) => root.querySelectorAll(selector).forEach((element) => element.setAttribute('aria-label', text ?? element.textContent));
  label('.body-param__text', 'Request body');
  label('.examples-select-element', 'Example');
  label('.close-modal', 'Close');
  label('.auth-btn-wrapper button');
  root.querySelectorAll('pre.microlight').forEach((element) => { element.tabIndex = 0; });
}

/** Replaces the tokens of the examples with those issued last, so that operations can be tried one after another. */
function useIssuedTokens(document) {
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const examples = operations.map((operation) => operation.requestBody?.content['application/json']?.example);
  const { antiSpamToken, actionToken } = Object.assign({}, ...examples);
  const issued = new Map();
  return {
    requestInterceptor(request) {
      for (const [example, token] of issued) request.body = request.body?.replace(example, token);
      return request;
    },
    responseInterceptor(response) {
      const body = response.body?.data ?? response.body;
      if (body?.antiSpamToken) issued.set(antiSpamToken, body.antiSpamToken);
      if (body?.actionToken ?? body?.newActionToken) issued.set(actionToken, body.newActionToken ?? body.actionToken);
      return response;
    },
  };
}

function loadScript(src) {
  return new Promise((resolve, reject) => {
    document.head.append(Object.assign(document.createElement('script'), { src, onload: resolve, onerror: reject }));
  });
}

/** Loads the document and shows it. Requests carry the login. */
export async function showRest(login) {
  const loading = document.querySelector('#part-rest .loading');
  let spec;
  try {
    await loadScript('/assets/vendor/swagger-ui-bundle.js');
    spec = await (await fetch('/openapi.json')).json();
  } catch {
    loading.textContent = 'Can’t reach the server. Reload the page.';
    return;
  }
  const { SwaggerUIBundle } = globalThis;
  const authorize = () => {
    if (login.token) ui.preauthorizeApiKey('bearer', login.token);
    else ui.authActions.logout(['bearer']);
  };
  const domNode = document.getElementById('swagger');
  new MutationObserver(() => addAccessibility(domNode)).observe(domNode, { childList: true, subtree: true });
  const ui = SwaggerUIBundle({
    spec,
    domNode,
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [withoutStreams],
    validatorUrl: null,
    persistAuthorization: false,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    ...useIssuedTokens(spec),
    onComplete() {
      loading.hidden = true;
      login.addEventListener('change', authorize);
      if (login.token) authorize();
    },
  });
}
