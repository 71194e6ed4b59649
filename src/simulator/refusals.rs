//! Refusals of valid submits, as faults require them.
//!
//! Must never charge or make anything.

use tokio::time::Duration;

use super::answers::Refusal;
use super::faults::{Dice, Faults};
use super::order::Order;

/// Refuses every submit for some time after the start of the simulator.
pub(super) fn refuse_any(faults: &Faults, dice: &mut Dice, since_start: Duration) -> Result<(), Refusal> {
    let is_hit = dice.fault("refused", faults.refused, "submit");
    if since_start < faults.refused_for {
        dice.applied.push(("refused-for", "submit".to_owned()));
        return Err(transient_failure());
    }
    if is_hit { Err(transient_failure()) } else { Ok(()) }
}

/// Refuses an order because of one of its URLs or its folder.
pub(super) fn refuse_content(faults: &Faults, dice: &mut Dice, order: &Order) -> Result<(), Refusal> {
    if let Some(folder) = faults.bad_folders.iter().find(|name| order.place.is_called(name)) {
        dice.applied.push(("bad-folder", folder.clone()));
        return Err(Refusal::application("0003", "The folder is invalid."));
    }
    for (name, code, texts) in
        [("bad-url", "0003", &faults.bad_urls), ("unclear-url", "0001", &faults.unclear_urls)]
    {
        if let Some(url) = order.urls.iter().find(|url| texts.iter().any(|text| url.contains(text))) {
            dice.applied.push((name, url.clone()));
            // The refusal does not name the URL.
            return Err(Refusal::application(code, "A video URL is invalid."));
        }
    }
    Ok(())
}

/// A refusal without a reason.
pub(super) fn transient_failure() -> Refusal {
    Refusal::application("0001", "The request could not be processed.")
}
