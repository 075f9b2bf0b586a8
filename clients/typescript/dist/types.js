// Types of requests and responses, as in the OpenAPI document.
export {};
