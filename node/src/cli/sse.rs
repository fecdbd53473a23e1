//! Server-Sent Events, read (WHATWG HTML, 9.2): lines in, events out.

/// The most bytes of one event that are kept; a server that sends more is not one of ours.
pub(super) const EVENT_MAX_BYTES: usize = 1024 * 1024;

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
}

/// The event's bytes pass the bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooLong;

/// Puts lines together to events.
#[derive(Default)]
pub(super) struct Parser {
    name: String,
    data: String,
    id: Option<String>,
    /// The id of the last complete event that had one: what `Last-Event-ID` says on resuming.
    last_id: Option<String>,
}

impl Parser {
    /// Where the stream stands.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Takes a line without its end; gives an event when the line was empty and there was one.
    pub(super) fn line(&mut self, line: &str) -> Result<Option<Event>, TooLong> {
        if line.is_empty() {
            return Ok(self.complete());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            // A comment (an empty field), `retry`, and what the standard may add.
            _ => {}
        }
        if self.data.len() > EVENT_MAX_BYTES { Err(TooLong) } else { Ok(None) }
    }

    /// A stream that ended in the middle of an event: that event never was.
    pub(super) fn interrupted(&mut self) {
        self.name.clear();
        self.data.clear();
        self.id = None;
    }

    fn complete(&mut self) -> Option<Event> {
        if let Some(id) = self.id.take() {
            self.last_id = Some(id);
        }
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        // The line feed behind the last line; without any data there is no event.
        data.pop()?;
        Some(Event { name: if name.is_empty() { "message".to_owned() } else { name }, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(parser: &mut Parser, text: &str) -> Vec<Event> {
        text.split('\n').filter_map(|line| parser.line(line).unwrap()).collect()
    }

    #[test]
    fn an_event_is_complete_at_the_empty_line() {
        let mut parser = Parser::default();
        let seen =
            events(&mut parser, ": hello\nretry: 1000\nid: a.1\nevent: hello\ndata: {}\n\nid: a.2\nevent:x\ndata:1\ndata: 2\n\nid: a.3\ndata: lost");
        let event = |name: &str, data: &str| Event { name: name.to_owned(), data: data.to_owned() };
        assert_eq!(seen, [event("hello", "{}"), event("x", "1\n2")]);
        assert_eq!(parser.last_id(), Some("a.2"), "an event that did not end moves nothing");
        parser.interrupted();
        assert_eq!(events(&mut parser, "data: next\n\n"), [event("message", "next")]);
        assert_eq!(parser.last_id(), Some("a.2"));
    }

    #[test]
    fn an_event_without_end_is_not_kept_for_ever() {
        let mut parser = Parser::default();
        let line = format!("data: {}", "x".repeat(EVENT_MAX_BYTES / 4));
        assert_eq!((0..5).map(|_| parser.line(&line)).find(Result::is_err), Some(Err(TooLong)));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(lines in prop::collection::vec(".*", 0..20)) {
            let mut parser = Parser::default();
            for line in lines {
                let _ = parser.line(&line);
            }
        }
    }
}
