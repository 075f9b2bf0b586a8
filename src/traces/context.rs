//! `traceparent` (W3C Trace Context, section 3.2): `version-traceid-parentid-flags` in lower-case hex. The SDK's parser accepts ids of other
//! lengths and signs before them, so this module has its own.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Length in version 00; later versions may append fields.
const LENGTH: usize = 55;

/// Reads a `traceparent`; `None` if it is malformed, which counts as absent.
pub fn read(text: &str) -> Option<SpanContext> {
    let (known, appended) = text.split_at_checked(LENGTH)?;
    let mut parts = known.split('-');
    let mut next = |digits: usize| {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        parts.next().filter(|it| it.len() == digits && it.bytes().all(is_digit))
    };
    let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    let is_complete = appended.is_empty() || (version != "00" && appended.starts_with('-'));
    if version == "ff" || !is_complete {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    // Zero ids are invalid.
    context.is_valid().then_some(context)
}

/// Writes a `traceparent`.
pub fn write(context: &SpanContext) -> String {
    let sampled = u8::from(context.is_sampled());
    format!("00-{}-{}-{sampled:02x}", context.trace_id(), context.span_id())
}

/// The context with the request's `tracestate`.
pub fn with_state(context: &SpanContext, state: TraceState) -> SpanContext {
    SpanContext::new(context.trace_id(), context.span_id(), context.trace_flags(), context.is_remote(), state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn traceparents_round_trip() {
        for flags in ["00", "01"] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let context = read(&text).unwrap();
            assert_eq!((write(&context), context.is_sampled()), (text, flags == "01"));
        }
        assert!(read(&format!("00-{TRACE}-{SPAN}-03")).unwrap().is_sampled(), "other flags are ignored");
        assert!(read(&format!("01-{TRACE}-{SPAN}-01-more")).is_some(), "a later version");
    }

    #[test]
    fn malformed_traceparents_are_ignored() {
        let zeros = "0".repeat(32);
        let upper = TRACE.to_uppercase();
        let malformed = [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("01-{TRACE}-{SPAN}-01more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{upper}-{SPAN}-01"),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("00-{}é-{SPAN}-01", &TRACE[2..]),
            "é".repeat(40),
        ];
        for text in malformed {
            assert!(read(&text).is_none(), "{text}");
        }
    }
}
