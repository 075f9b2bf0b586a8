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
  name('.close-modal', 'Close');
  name('.auth-btn-wrapper button');
  place.querySelectorAll('pre.microlight').forEach((it) => { it.tabIndex = 0; });
}

function load(src) {
  return new Promise((resolve, reject) => {
    document.head.append(Object.assign(document.createElement('script'), { src, onload: resolve, onerror: reject }));
  });
}

/** Reads the document and shows it, with the login where requests need one. */
export async function showRest(login) {
  const loading = document.querySelector('#part-rest .loading');
  try {
    await load('/assets/vendor/swagger-ui-bundle.js');
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
    url: '/openapi.json',
    domNode,
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [neverEndless],
    validatorUrl: null,
    persistAuthorization: false,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    onComplete() {
      loading.hidden = true;
      login.addEventListener('change', authorize);
      if (login.token) authorize();
    },
  });
}
