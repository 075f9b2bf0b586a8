// Swagger UI over the node's own document, tried out against the node itself.

// Their answers never end; they are tried under Sockets.
const ENDLESS = ['/api/v1/ws', '/api/v1/leaderboard/stream', '/socket.io/'];

const neverEndless = {
  statePlugins: {
    spec: {
      wrapSelectors: {
        allowTryItOutFor: (allow) => (state, path, method) => !ENDLESS.includes(path) && allow(state, path, method),
      },
    },
  },
};

/** Names what Swagger UI leaves without a name, and lets the keyboard reach what scrolls. */
function mend(place) {
  const name = (selector, text) => place.querySelectorAll(selector).forEach((it) => it.setAttribute('aria-label', text ?? it.textContent));
  name('.body-param__text', 'Request body');
  name('.examples-select-element', 'Example');
  name('.close-modal', 'Close');
  name('.auth-btn-wrapper button');
  place.querySelectorAll('pre.microlight').forEach((it) => { it.tabIndex = 0; });
}

/** Sends the token that was issued last in place of the example's, so that one operation leads to the next. */
function followUp(document) {
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const examples = operations.map((it) => it.requestBody?.content['application/json']?.example);
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

function load(src) {
  return new Promise((resolve, reject) => {
    document.head.append(Object.assign(document.createElement('script'), { src, onload: resolve, onerror: reject }));
  });
}

/** Reads the document and shows it, with the login where requests need one. */
export async function showRest(login) {
  const loading = document.querySelector('#part-rest .loading');
  let spec;
  try {
    await load('/assets/vendor/swagger-ui-bundle.js');
    spec = await (await fetch('/openapi.json')).json();
  } catch {
    loading.textContent = 'The node does not answer. Load the page again.';
    return;
  }
  const { SwaggerUIBundle } = globalThis;
  const authorize = () => {
    if (login.token) ui.preauthorizeApiKey('bearer', login.token);
    else ui.authActions.logout(['bearer']);
  };
  const domNode = document.getElementById('swagger');
  new MutationObserver(() => mend(domNode)).observe(domNode, { childList: true, subtree: true });
  const ui = SwaggerUIBundle({
    spec,
    domNode,
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [neverEndless],
    validatorUrl: null,
    persistAuthorization: false,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    ...followUp(spec),
    onComplete() {
      loading.hidden = true;
      login.addEventListener('change', authorize);
      if (login.token) authorize();
    },
  });
}
