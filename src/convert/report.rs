//! What an export has made, and how its precision was chosen.

use std::fmt;

use crate::engine::Device;
use crate::export::comparison::Comparison;
use crate::export::{Exported, Precision};

/// What was exported, and how it compares with fp32.
#[derive(Clone, Debug)]
pub struct ExportReport {
    /// The graph.
    pub exported: Exported,
    /// Of the graph in a lower precision, be it the one exported or one that was given up for fp32.
    pub comparison: Option<Compared>,
    /// Why it has this precision, where none was asked for by name.
    pub selection: Option<Selection>,
}

/// How a precision compares with fp32 on the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// What was compared with fp32.
    pub precision: Precision,
    /// What came of it.
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

/// Why automatic precision came out as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The precision for the device decides as fp32 does.
    Preferred {
        /// That precision.
        precision: Precision,
        /// The device.
        device: Device,
    },
    /// The precision for the device changes too many decisions.
    ChangedDecisions {
        /// That precision.
        precision: Precision,
    },
    /// The checkpoint can't be written, or does not run, in the precision for the device.
    Impossible {
        /// Why: a sentence without its stop.
        reason: String,
    },
}

impl fmt::Display for Selection {
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
