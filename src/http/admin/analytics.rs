//! The admin API for analytics: activity, most active users, peak hours, scores and sessions.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::envelope;
use super::super::query::Query;
use super::Admin;
use crate::admin::analytics::{self, ActivityRow, Period, Span, Step};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::Result;

/// `GET activity?hours=24&step=hour`.
pub async fn activity(State(app): State<Arc<App>>, _: Admin, mut query: Query) -> Result<Response> {
    let hours = i64::from(query.number("hours", 1..=8760, 24));
    let step = query.choice("step", &[("hour", Step::Hour), ("day", Step::Day)]);
    query.finish()?;
    let count = match step {
        Step::Hour => hours,
        Step::Day => (hours + 23) / 24,
    };
    let span = Span::last(count, step, app.clock.now_ms());
    let activity = analytics::activity(&app.admin, span, step).await?;
    let sum = |of: fn(&ActivityRow) -> i64| activity.rows.iter().map(of).sum::<i64>();
    let data = json!({
        "from": rfc3339(span.from_ms),
        "to": rfc3339(span.to_ms),
        "step": step.as_str(),
        "summary": {
            "activeUsers": activity.active_users,
            "awards": sum(|row| row.awards),
            "points": sum(|row| row.points),
            "refusals": sum(|row| row.refusals.values().sum()),
            "sessions": activity.sessions,
            "actionsPerSession": ratio(activity.session_actions, activity.sessions),
            "newUsers": activity.new_users,
        },
        "rows": activity.rows.iter().map(activity_row).collect::<Value>(),
    });
    Ok(envelope::answer(StatusCode::OK, "Activity retrieved successfully", data))
}

fn activity_row(row: &ActivityRow) -> Value {
    json!({
        "at": rfc3339(row.at_ms),
        "awards": row.awards,
        "points": row.points,
        "activeUsers": row.active_users,
        "refusals": row.refusals,
    })
}

/// The ratio with two decimals, or 0 if the divisor is 0.
fn ratio(dividend: i64, divisor: i64) -> f64 {
    let ratio = if divisor == 0 { 0.0 } else { dividend as f64 / divisor as f64 };
    (ratio * 100.0).round() / 100.0
}

/// `GET most-active?period=day&limit=10`.
pub async fn most_active(State(app): State<Arc<App>>, _: Admin, mut query: Query) -> Result<Response> {
    let periods =
        [Period::Day, Period::Hour, Period::Week, Period::Month].map(|period| (period.as_str(), period));
    let period = query.choice("period", &periods);
    let limit = query.number("limit", 1..=100, 10);
    query.finish()?;
    let found = analytics::most_active(&app.admin, period, limit, app.clock.now_ms()).await?;
    let users = found.users.iter().map(|user| {
        json!({
            "userId": user.number,
            "id": user.id,
            "username": user.username,
            "awards": user.awards,
            "points": user.points,
            "lastAt": rfc3339(user.last_at_ms),
            "banned": user.banned,
            "quarantined": user.quarantined,
        })
    });
    let data = json!({
        "from": rfc3339(found.span.from_ms),
        "to": rfc3339(found.span.to_ms),
        "users": users.collect::<Value>(),
    });
    Ok(envelope::answer(StatusCode::OK, "Most active users retrieved successfully", data))
}

/// `GET peak-hours?days=28`.
pub async fn peak_hours(State(app): State<Arc<App>>, _: Admin, query: Query) -> Result<Response> {
    let span = days(&app, query)?;
    let awards = analytics::peak_hours(&app.admin, span).await?;
    let data = json!({ "from": rfc3339(span.from_ms), "to": rfc3339(span.to_ms), "awards": awards });
    Ok(envelope::answer(StatusCode::OK, "Peak hours retrieved successfully", data))
}

/// `GET sessions?days=28`.
pub async fn sessions(State(app): State<Arc<App>>, _: Admin, query: Query) -> Result<Response> {
    let span = days(&app, query)?;
    let sessions = analytics::sessions(&app.admin, span).await?;
    let bucket = |(actions, sessions): &(i64, i64)| json!({ "actions": actions, "sessions": sessions });
    let data = json!({
        "from": rfc3339(span.from_ms),
        "to": rfc3339(span.to_ms),
        "sessions": sessions.sessions,
        "actionsPerSession": ratio(sessions.actions, sessions.sessions),
        "averageSeconds": ratio(sessions.seconds, sessions.sessions),
        "buckets": sessions.classes.iter().map(bucket).collect::<Value>(),
    });
    Ok(envelope::answer(StatusCode::OK, "Sessions retrieved successfully", data))
}

/// The last `days` including today. The default is four weeks, so that every weekday occurs equally often.
fn days(app: &App, mut query: Query) -> Result<Span> {
    let days = query.number("days", 1..=365, 28);
    query.finish()?;
    Ok(Span::last(i64::from(days), Step::Day, app.clock.now_ms()))
}

/// `GET scores`.
pub async fn scores(State(app): State<Arc<App>>, _: Admin, query: Query) -> Result<Response> {
    query.finish()?;
    let scores = analytics::scores(&app.admin).await?;
    let buckets = scores
        .buckets
        .iter()
        .map(|bucket| json!({ "from": bucket.from, "to": bucket.to, "users": bucket.users }));
    let shape = &scores.shape;
    let data = json!({
        "users": shape.users,
        "percentiles": { "p50": shape.p50, "p90": shape.p90, "p99": shape.p99, "max": shape.max },
        "buckets": buckets.collect::<Value>(),
    });
    Ok(envelope::answer(StatusCode::OK, "Scores retrieved successfully", data))
}
