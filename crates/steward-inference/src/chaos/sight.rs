//! Follows one call of a drill to its end, as its caller sees it.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use steward_domain::clock::Timestamp;
use steward_domain::model::ModelEvent;

use super::Drill;
use super::report::{CallEnd, Sighting};
use crate::route::kind_name;
use crate::wait::ms_since;

/// The same events, with a note of how the call ended. `first_target` is the one that answers when nothing is wrong.
pub(crate) fn watched(
    events: BoxStream<'static, ModelEvent>,
    drill: Arc<Drill>,
    first_target: Option<Arc<str>>,
) -> BoxStream<'static, ModelEvent> {
    let begun_at = drill.now();
    let sight = Sight {
        drill,
        first_target,
        begun_at,
        sighting: Sighting {
            end: CallEnd::Cancelled,
            attempts: 0,
            is_fallback: false,
            first_content_ms: None,
            whole_ms: 0,
        },
    };
    stream::unfold((events, sight), |(mut events, mut sight)| async move {
        let event = events.next().await?;
        sight.see(&event);
        Some((event, (events, sight)))
    })
    .boxed()
}

struct Sight {
    drill: Arc<Drill>,
    first_target: Option<Arc<str>>,
    begun_at: Timestamp,
    sighting: Sighting,
}

impl Sight {
    fn see(&mut self, event: &ModelEvent) {
        let ms = ms_since(self.drill.now(), self.begun_at);
        match event {
            ModelEvent::Started(answerer) => {
                self.sighting.attempts = answerer.attempts;
                self.sighting.is_fallback = self.first_target.as_ref().is_some_and(|first| **first != *answerer.target);
            }
            ModelEvent::Finished(_) => {
                self.sighting.end = CallEnd::Whole;
                self.sighting.whole_ms = ms;
            }
            ModelEvent::Failed(error) => self.sighting.end = CallEnd::Failed(kind_name(error.kind)),
            _ => self.sighting.first_content_ms = self.sighting.first_content_ms.or(Some(ms)),
        }
    }
}

impl Drop for Sight {
    fn drop(&mut self) {
        self.drill.saw(&self.sighting);
    }
}
