//! What texts from outside may look like before they enter the replicated state.

/// Why a text is refused; the sentence is for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidText(pub String);

/// The longest user id, bytes.
pub(crate) const USER_ID_MAX_BYTES: usize = 255;
/// The longest reason of a revocation, bytes.
pub(crate) const REASON_MAX_BYTES: usize = 255;

/// Checks a user id: 1 to 255 bytes, no control characters.
///
/// # Errors
/// Says which rule is broken.
pub fn check_user_id(text: &str) -> Result<(), InvalidText> {
    check("user_id", text, USER_ID_MAX_BYTES)
}

/// Checks the reason of a revocation: 1 to 255 bytes, no control characters.
///
/// # Errors
/// Says which rule is broken.
pub fn check_reason(text: &str) -> Result<(), InvalidText> {
    check("reason", text, REASON_MAX_BYTES)
}

fn check(name: &str, text: &str, max: usize) -> Result<(), InvalidText> {
    if text.is_empty() || text.len() > max {
        return Err(InvalidText(format!("{name} must be 1 to {max} bytes long")));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText(format!("{name} must not contain control characters")));
    }
    Ok(())
}
