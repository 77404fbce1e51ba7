//! Reports the result of an export, and how its precision was chosen.

use std::fmt;

use crate::engine::Device;
use crate::export::comparison::Comparison;
use crate::export::{Exported, Precision};

/// The result of an export, and its comparison with fp32.
#[derive(Clone, Debug)]
pub struct ExportReport {
    pub exported: Exported,
    /// The comparison of a lower precision, whether that was exported or rejected in favour of fp32.
    pub comparison: Option<Compared>,
    /// How automatic precision was decided; `None` if the user requested a precision.
    pub selection: Option<PrecisionSelection>,
}

/// The comparison of a precision with fp32 on the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    pub precision: Precision,
    pub comparison: Comparison,
}

impl fmt::Display for Compared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            precision,
            comparison,
        } = self;
        write!(
            formatter,
            "{precision} against fp32 on the sample texts: {comparison}"
        )
    }
}

/// The reason for the outcome of automatic precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrecisionSelection {
    /// The decisions of the device's precision match those of fp32.
    Preferred {
        precision: Precision,
        device: Device,
    },
    /// The device's precision changes too many decisions.
    ChangedDecisions {
        /// The rejected precision.
        precision: Precision,
    },
    /// The checkpoint can't be exported, or does not run, in the device's precision.
    Impossible {
        /// The reason, as a sentence without its full stop.
        reason: String,
    },
}

impl fmt::Display for PrecisionSelection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preferred { precision, device } => write!(
                formatter,
                "{precision}, the choice for {device}, decides as fp32 does"
            ),
            Self::ChangedDecisions { precision } => write!(
                formatter,
                "fp32, because {precision} changes more than 1% of the decisions on the samples"
            ),
            Self::Impossible { reason } => write!(formatter, "fp32, because {reason}"),
        }
    }
}
