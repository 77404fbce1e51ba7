//! How far the server's stop has come.

/// A stage of the stop. The server passes them in this order, and never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Serving,
    /// Not ready, so that load balancers send no more. Requests are still taken, each as the last of its connection.
    Leaving,
    /// No more connections are accepted. Requests that are on their way on open ones are still taken.
    Closing,
    /// New requests are refused. A connection ends with its last request.
    Draining,
}
