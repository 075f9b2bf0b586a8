//! `/api/auth`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{envelope, integer, named, object, text, uuid};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let register = Operation::post(
        "/api/auth/register",
        "register",
        "Register a user",
        "Creates a user and logs in. Usernames are unique regardless of case. Numbers, UUIDs and IP addresses are not allowed as \
            usernames, because paths use them to refer to users.",
    );
    let login = Operation::post(
        "/api/auth/login",
        "login",
        "Log in",
        "Checks the password and returns a login JWT. Attempts are limited per username and per address.",
    );
    vec![
        register
            .body(
                object(&[
                    ("username", sized_text(3, 50, "^[A-Za-z0-9_.-]*$")),
                    ("email", json!({ "type": "string", "format": "email", "maxLength": 255 })),
                    ("password", password()),
                ]),
                json!({ "username": "ada", "email": "ada@example.com", "password": "correct horse" }),
            )
            .answer(201, "The user is registered and logged in", envelope(201, logged_in(), object(&[])))
            .refused(&[Code::AlreadyExists])
            .rate_limited(),
        login
            .body(
                object(&[
                    ("username", json!({ "type": "string", "maxLength": 255 })),
                    ("password", password()),
                ]),
                json!({ "username": "ada", "password": "correct horse" }),
            )
            .answer(200, "The user is logged in", envelope(200, logged_in(), object(&[])))
            .refused(&[Code::InvalidCredentials, Code::Forbidden])
            .rate_limited(),
    ]
}

fn sized_text(min: u32, max: u32, pattern: &str) -> Value {
    json!({ "type": "string", "minLength": min, "maxLength": max, "pattern": pattern })
}

fn password() -> Value {
    json!({ "type": "string", "format": "password", "minLength": 8, "maxLength": 128 })
}

fn logged_in() -> Value {
    let user = object(&[
        ("id", integer("The user's number: `userId` in the game API")),
        ("uuid", uuid("The user's UUID: `userId` in `/api/v1`")),
        ("username", text("Username")),
        ("score", integer("Total score")),
    ]);
    let token = text("Login JWT; its `aud` is this deployment");
    named("Login", object(&[("token", token), ("user", named("LoginUser", user))]))
}
