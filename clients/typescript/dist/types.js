// What goes over the wire, as the OpenAPI document has it.
export {};
