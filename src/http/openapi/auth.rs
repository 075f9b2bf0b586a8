//! `/api/auth`.

use serde_json::{Value, json};

use super::operation::Operation;
use super::schema::{envelope, object, text, whole};
use crate::error::Code;

pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/api/auth/register", "register", "Make a user")
            .about("A username is unique without regard to case, and is no number, UUID or IP address: those refer to users otherwise")
            .body(object(&[
                ("username", sized_text(3, 50, "^[A-Za-z0-9_.-]*$")),
                ("email", json!({ "type": "string", "format": "email", "maxLength": 255 })),
                ("password", password()),
            ]))
            .answer(201, "The user is made and logged in", envelope(201, logged_in(), object(&[])))
            .refused(&[Code::AlreadyExists])
            .metered(),
        Operation::post("/api/auth/login", "login", "Log in")
            .body(object(&[
                ("username", json!({ "type": "string", "maxLength": 255 })),
                ("password", password()),
            ]))
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
    object(&[("token", text("The login, a JWT: its `aud` is this deployment")), ("user", user)])
}
