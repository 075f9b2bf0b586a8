//! `/api/auth`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{envelope, named, object, text, whole};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    let register = Operation::post(
        "/api/auth/register",
        "register",
        "Register a user",
        "Registers a user and logs in. A username is unique without regard to case. It is no number, UUID or IP address: those refer \
            to users otherwise.",
    );
    let login = Operation::post(
        "/api/auth/login",
        "login",
        "Log in",
        "Checks a password and returns a login JWT. Attempts are limited per username and per address.",
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
            .metered(),
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
            .metered(),
    ]
}

fn sized_text(least: u32, most: u32, pattern: &str) -> Value {
    json!({ "type": "string", "minLength": least, "maxLength": most, "pattern": pattern })
}

fn password() -> Value {
    json!({ "type": "string", "format": "password", "minLength": 8, "maxLength": 128 })
}

fn logged_in() -> Value {
    let user = object(&[
        ("id", whole("The user's number")),
        ("username", text("The name")),
        ("score", whole("The total")),
    ]);
    let token = text("The login, a JWT: its `aud` is this deployment");
    named("Login", object(&[("token", token), ("user", named("LoginUser", user))]))
}
