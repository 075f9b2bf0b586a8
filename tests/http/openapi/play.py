"""Compares the client that openapi-generator makes with the document, and plays with it."""

import importlib
import inspect
import json
import pkgutil
import re
import sys

folder, document, base = sys.argv[1:]
sys.path.insert(0, folder)
import openapi_client

for module in pkgutil.walk_packages(openapi_client.__path__, "openapi_client."):
    importlib.import_module(module.name)


def expected_type(response):
    """The type of a response's body: None without a body, True if the document does not name it."""
    for content in response.get("content", {}).values():
        reference = content["schema"].get("$ref")
        return reference.rsplit("/")[-1] if reference else True
    return None


operations = [operation for methods in json.load(open(document))["paths"].values() for operation in methods.values()]
for operation in operations:
    api = getattr(openapi_client, operation["tags"][0].capitalize() + "Api")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation["operationId"]).lower()
    source = inspect.getsource(getattr(api, name))
    types = {status: type_name or None for status, type_name in re.findall(r"'(\d{3})': (?:\"(.+?)\"|None)", source)}
    assert types.keys() == operation["responses"].keys(), (name, types)
    for status, response in operation["responses"].items():
        expected = expected_type(response)
        assert types[status] == expected or (expected is True and types[status]), (name, status, types)

configuration = openapi_client.Configuration(host=base)
client = openapi_client.ApiClient(configuration)
login = openapi_client.AuthApi(client).register(
    openapi_client.RegisterRequest(username="python", email="python@example.com", password="correct horse")
)
configuration.access_token = login.data.token
actions = openapi_client.ActionsApi(client)
issued = actions.init_action(openapi_client.InitActionRequest(action_type="watch_ad"))
finalize = openapi_client.FinalizeActionRequest(anti_spam_token=issued.anti_spam_token)
award = actions.finalize_action(finalize)
assert award.success and award.new_score == 10, award
try:
    actions.finalize_action(finalize)
except openapi_client.ApiException as error:
    assert error.data.data is None, error
    assert error.data.metadata.error_code == openapi_client.ErrorCode.TOKEN_ALREADY_USED, error
else:
    raise AssertionError("a token was redeemed twice")
