//! E.
use steward_domain::model::ModelEvent;
use crate::ingress::IngressOptions;

#[derive(Debug)]
pub(crate) struct Encoder {
    _options: IngressOptions,
}

impl Encoder {
    pub(crate) fn new(_options: IngressOptions) -> Self {
        Encoder { _options }
    }
    pub(crate) fn encode(&mut self, _event: &ModelEvent) -> Vec<u8> {
        Vec::new()
    }
}
