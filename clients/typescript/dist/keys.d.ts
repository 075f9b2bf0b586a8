/** 128 random bits. Not `randomUUID`, which browsers keep from pages without TLS. */
export declare function newKey(): string;
