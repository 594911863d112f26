//! Faults at random: of the AWS calls, the SDKs' own repeats and the state machine's calls among them, 15 % fail before
//! their effect and 15 % after it.

use fastrand::Rng;
use local::aws::{Call, Fault};

use super::{
    faults::{Hits, sends_mail},
    shop::Shop,
    tables::READER,
};

/// Of a hundred calls, how many fail before their effect, and how many after it.
const BEFORE: u8 = 15;
const AFTER: u8 = 15;

/// A time of faults.
pub(crate) struct Storm {
    /// Mails that were sent and not acknowledged.
    unacknowledged: Hits,
}

impl Storm {
    /// Plants faults by this seed.
    pub(crate) fn over(shop: &Shop, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed ^ 0xFA17);
        let unacknowledged = Hits::default();
        let counted = unacknowledged.clone();
        shop.plant(move |call| {
            let fault = at_random(&mut random, call);
            counted.add(usize::from(fault == Some(Fault::After) && sends_mail(call)));
            fault
        });
        Self { unacknowledged }
    }

    /// Clears the faults. Answers how many mails may be sent again: one for each that was not acknowledged, and one for
    /// each that was acknowledged and could not be noted as sent.
    pub(crate) fn end(self, shop: &Shop) -> usize {
        shop.heal();
        let runs = shop.stack.aws().executions();
        let states = runs.iter().flat_map(|run| &run.states);
        let noting = states.filter(|state| ["MarkNotified", "MarkPart"].contains(&state.name.as_str()));
        // A failed condition says that the mail is noted already, or that another mail waits too.
        let failed = noting.filter(|state| {
            state.error.as_ref().is_some_and(|error| error != "DynamoDB.ConditionalCheckFailedException")
        });
        failed.count() + self.unacknowledged.count()
    }
}

/// The fate of one call. The tests' own calls succeed.
fn at_random(random: &mut Rng, call: &Call) -> Option<Fault> {
    if call.caller == READER {
        return None;
    }
    match random.u8(..100) {
        drawn if drawn < BEFORE => Some(Fault::Before),
        drawn if drawn < BEFORE + AFTER => Some(Fault::After),
        _ => None,
    }
}
