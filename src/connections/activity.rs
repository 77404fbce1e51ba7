//! What happens on one connection, and whether its peer is overdue. Takes the time as a value, and does no I/O.

use std::time::Duration;

use tokio::time::Instant;

/// The longest time until the next look at a connection. A peer is overdue when it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a connection that is asked to close may take, once it has no request in progress.
const CLOSING: Duration = Duration::from_secs(5);

/// The same once the server drains: as long as the end of the last response may take to reach the socket.
const ENDING: Duration = Duration::from_millis(100);

/// The same over HTTP/2, which holds the last bytes and the trailers until the peer has room for them: a round trip.
const ENDING_HTTP2: Duration = Duration::from_secs(1);

/// How long a request may wait for its peer before its connection may give way to another client's.
const WAITING: Duration = Duration::from_secs(1);

/// [`Patience::stalled`] once the server drains.
const STALLED_WHILE_DRAINING: Duration = Duration::from_secs(10);

/// How long a connection waits for its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the first request's headers, from when the connection opens.
    pub first_request: Duration,
    /// For the headers of each other request, from the end of the last one.
    pub idle_http1: Duration,
    /// As for HTTP/1.
    pub idle_http2: Duration,
    /// For the peer to take more of a response.
    pub stalled: Duration,
    /// For everything.
    pub lifetime: Option<Duration>,
}

impl Patience {
    /// Most load balancers keep their side open for 60 seconds. With shorter times here, they would send into a closed
    /// connection. Clients of HTTP/2 are told before it closes, and reconnect by themselves.
    pub const USUAL: Self = Self {
        first_request: Duration::from_secs(75),
        idle_http1: Duration::from_secs(75),
        idle_http2: Duration::from_mins(5),
        stalled: Duration::from_secs(30),
        lifetime: None,
    };

    /// For the few connections that are reserved for health checks, so that they are soon free for the next.
    pub const RESERVED: Self = Self {
        first_request: Duration::from_secs(2),
        idle_http1: Duration::from_secs(2),
        idle_http2: Duration::from_secs(2),
        stalled: Duration::from_secs(2),
        lifetime: Some(Duration::from_secs(10)),
    };
}

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// The first request has not come.
    FirstRequest,
    /// No other request has come.
    Idle,
    /// The peer does not take its responses.
    Stalled,
    /// The connection was lent for a short time.
    Lifetime,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A request.
    Quiet,
    /// Its peer, to send the rest of its requests or to take their answers.
    Waiting,
    /// This server.
    Busy,
}

/// What to do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    LookAt(Instant),
    /// Take no more requests, and tell the peer.
    Close(Overdue),
    /// End it without another word, because the peer does not listen. `None` if it was asked to close before.
    Drop(Option<Overdue>),
    /// End it, because the server drains and no request is in progress. What was written still reaches the peer.
    End,
}

/// The requests of a connection, and what waits for its peer.
#[derive(Debug)]
pub struct Activity {
    opened: Instant,
    is_http2: bool,
    /// Whether requests of several clients come over it, so that those of one don't decide about it.
    is_shared: bool,
    started: u64,
    /// Requests whose headers were read and whose responses were not taken whole.
    in_progress: usize,
    /// When the last request ended.
    quiet_since: Instant,
    /// Since when the socket takes no bytes.
    unwritable_since: Option<Instant>,
    /// The requests whose response has a frame that the peer has not taken, each with the time since when.
    untaken: Vec<(u64, Instant)>,
    /// The requests whose body has not come whole, each with the time since when the server waits for it.
    unsent: Vec<(u64, Instant)>,
    closing_since: Option<Instant>,
    /// Since when the server drains.
    draining_since: Option<Instant>,
}

impl Activity {
    pub fn new(now: Instant) -> Self {
        Self {
            opened: now,
            is_http2: false,
            is_shared: false,
            started: 0,
            in_progress: 0,
            quiet_since: now,
            unwritable_since: None,
            untaken: Vec::new(),
            unsent: Vec::new(),
            closing_since: None,
            draining_since: None,
        }
    }

    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// The peer is a proxy, which sends requests of several clients.
    pub fn share(&mut self) {
        self.is_shared = true;
    }

    /// The headers of a request were read. Returns the request's number on this connection.
    pub fn start_request(&mut self, is_http2: bool) -> u64 {
        self.is_http2 = is_http2;
        self.started += 1;
        self.in_progress += 1;
        self.started
    }

    /// The response was taken, or the request was given up.
    pub fn end_request(&mut self, request: u64, now: Instant) {
        self.resume(request);
        self.receive(request);
        self.in_progress -= 1;
        self.quiet_since = now;
    }

    /// A frame of the response is ready: the peer has taken all before it, and is to take this one.
    pub fn offer(&mut self, request: u64, now: Instant) {
        match self
            .untaken
            .iter_mut()
            .find(|(number, _)| *number == request)
        {
            Some((_, since)) => *since = now,
            None => self.untaken.push((request, now)),
        }
    }

    /// The peer has taken all that is ready; the server is to make more.
    pub fn resume(&mut self, request: u64) {
        self.untaken.retain(|(number, _)| *number != request);
    }

    /// The peer is to send the rest of the request's body.
    pub fn expect(&mut self, request: u64, now: Instant) {
        self.unsent.push((request, now));
    }

    /// The body has come whole, or is not read any more.
    pub fn receive(&mut self, request: u64) {
        self.unsent.retain(|(number, _)| *number != request);
    }

    /// The socket takes no bytes, or takes them again.
    pub fn set_writable(&mut self, writable: bool, now: Instant) {
        self.unwritable_since = (!writable).then_some(now);
    }

    /// The connection was asked to close.
    pub fn close(&mut self, now: Instant) {
        self.closing_since.get_or_insert(now);
    }

    pub fn standing(&self, now: Instant) -> Standing {
        if self.in_progress == 0 && self.unwritable_since.is_none() {
            match self.flushed_by() {
                Some(time) if time > now => Standing::Busy,
                _ => Standing::Quiet,
            }
        } else if self.waits_for_peer(now) && !self.is_shared {
            Standing::Waiting
        } else {
            Standing::Busy
        }
    }

    /// Whether each request waits for the peer to send the rest of it or to take its answer, and one of them has for a
    /// while. More requests, or a byte now and then, change nothing about that. A socket that takes nothing holds up all
    /// of them.
    fn waits_for_peer(&self, now: Instant) -> bool {
        let is_long = |since: Instant| since + WAITING <= now;
        if self.unwritable_since.is_some_and(is_long) {
            return true;
        }
        let is_untaken = |request| self.untaken.iter().any(|(other, _)| *other == request);
        let unsent = self.unsent.iter();
        let only_unsent = unsent.filter(|(request, _)| !is_untaken(*request)).count();
        let mut waits = self.untaken.iter().chain(&self.unsent);
        self.untaken.len() + only_unsent >= self.in_progress
            && waits.any(|(_, since)| is_long(*since))
    }

    /// The server drains: only requests in progress are left to answer.
    pub fn drain(&mut self, now: Instant) {
        self.close(now);
        self.draining_since.get_or_insert(now);
    }

    /// Whether a request came by HTTP/2.
    pub fn speaks_http2(&self) -> bool {
        self.is_http2
    }

    /// Whether the connection is to close, and has no request in progress.
    pub fn is_ending(&self) -> bool {
        self.closing_since.is_some() && self.in_progress == 0
    }

    /// Whether the peer is overdue, or when to look again.
    pub fn verdict(&self, patience: &Patience, now: Instant) -> Verdict {
        let untaken = self.untaken.iter().map(|(_, since)| *since);
        let stalled = untaken.chain(self.unwritable_since).min();
        let stalled = stalled.map(|since| since + self.stalled_patience(patience));
        let closing = self.closing_since.filter(|_| self.in_progress == 0);
        let closing = closing.map(|since| since.max(self.quiet_since) + CLOSING);
        let ending = self.ending_due();
        let lifetime = patience.lifetime.map(|lifetime| self.opened + lifetime);
        let flushed = self.flushed_by().filter(|time| *time > now);
        let is_past = |time: &Instant| *time <= now;
        if stalled.as_ref().is_some_and(is_past) {
            return Verdict::Drop(Some(Overdue::Stalled));
        }
        if lifetime.as_ref().is_some_and(is_past) {
            return Verdict::Drop(Some(Overdue::Lifetime));
        }
        if ending.as_ref().is_some_and(is_past) {
            return Verdict::End;
        }
        if closing.as_ref().is_some_and(is_past) {
            return Verdict::Drop(None);
        }
        let request = self.request_due(patience);
        if let Some((due, overdue)) = request
            && is_past(&due)
        {
            return match overdue {
                // It has not said what it speaks, or not all of it.
                Overdue::FirstRequest => Verdict::Drop(Some(overdue)),
                overdue => Verdict::Close(overdue),
            };
        }
        let request = request.map(|(due, _)| due);
        let times = [stalled, lifetime, ending, closing, flushed, request];
        let next = times.into_iter().flatten().min();
        let latest = now + LOOK_INTERVAL;
        Verdict::LookAt(next.map_or(latest, |next| next.min(latest)))
    }

    fn stalled_patience(&self, patience: &Patience) -> Duration {
        match self.draining_since {
            Some(_) => patience.stalled.min(STALLED_WHILE_DRAINING),
            None => patience.stalled,
        }
    }

    /// When the connection ends because the server drains. `None` while a request is in progress, or the socket takes
    /// no bytes of a response.
    fn ending_due(&self) -> Option<Instant> {
        let draining_since = self.draining_since?;
        if self.in_progress > 0 || self.unwritable_since.is_some() {
            return None;
        }
        let ending = match (self.started, self.is_http2) {
            (0, _) => return Some(draining_since),
            (_, true) => ENDING_HTTP2,
            (_, false) => ENDING,
        };
        Some(draining_since.max(self.quiet_since + ending))
    }

    /// When the end of the last response has reached the peer, for a connection that is to close over HTTP/2.
    fn flushed_by(&self) -> Option<Instant> {
        let is_ending = self.is_http2 && self.is_ending();
        is_ending.then(|| self.quiet_since + ENDING_HTTP2)
    }

    /// When the next request is due. `None` while one is in progress, or if no other will be taken.
    fn request_due(&self, patience: &Patience) -> Option<(Instant, Overdue)> {
        if self.in_progress > 0 || self.closing_since.is_some() {
            return None;
        }
        if self.started == 0 {
            return Some((self.opened + patience.first_request, Overdue::FirstRequest));
        }
        let idle = if self.is_http2 {
            patience.idle_http2
        } else {
            patience.idle_http1
        };
        Some((self.quiet_since + idle, Overdue::Idle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Looks at a connection as its watchdog does, from `now` on, and returns the verdict with the seconds it took.
    fn watch(activity: &Activity, patience: &Patience, now: Instant) -> (u64, Verdict) {
        let mut time = now;
        for _ in 0..200 {
            match activity.verdict(patience, time) {
                Verdict::LookAt(next) => {
                    assert!(next > time && next <= time + LOOK_INTERVAL);
                    time = next;
                }
                verdict => return ((time - now).as_secs(), verdict),
            }
        }
        ((time - now).as_secs(), Verdict::LookAt(time))
    }

    #[test]
    fn a_request_is_due_after_opening_and_after_the_last_one() {
        let now = Instant::now();
        let mut activity = Activity::new(now);
        let first = (75, Verdict::Drop(Some(Overdue::FirstRequest)));
        assert_eq!(watch(&activity, &Patience::USUAL, now), first);
        for (is_http2, idle) in [(false, 75), (true, 300)] {
            let request = activity.start_request(is_http2);
            let later = now + 1000 * SECOND;
            let (_, verdict) = watch(&activity, &Patience::USUAL, now);
            assert!(matches!(verdict, Verdict::LookAt(_)), "{verdict:?}");
            activity.end_request(request, later);
            let idle = (idle, Verdict::Close(Overdue::Idle));
            assert_eq!(watch(&activity, &Patience::USUAL, later), idle);
        }
    }

    #[test]
    fn each_response_has_to_be_taken_and_not_only_one_of_them() {
        let now = Instant::now();
        let mut activity = Activity::new(now);
        let (one, other) = (activity.start_request(true), activity.start_request(true));
        let stalled = Verdict::Drop(Some(Overdue::Stalled));
        activity.offer(one, now);
        for seconds in 0..30 {
            activity.offer(other, now + seconds * SECOND);
        }
        assert_eq!(watch(&activity, &Patience::USUAL, now), (30, stalled));
        // The server is to make more of the first one: its peer has time again.
        activity.resume(one);
        assert_eq!(watch(&activity, &Patience::USUAL, now), (59, stalled));
        activity.end_request(other, now);
        let (_, verdict) = watch(&activity, &Patience::USUAL, now);
        assert!(matches!(verdict, Verdict::LookAt(_)), "{verdict:?}");
    }

    #[test]
    fn a_socket_that_takes_nothing_is_stalled_whatever_waits_for_it() {
        let now = Instant::now();
        let mut activity = Activity::new(now);
        let request = activity.start_request(false);
        activity.set_writable(false, now);
        activity.end_request(request, now);
        let stalled = Verdict::Drop(Some(Overdue::Stalled));
        assert_eq!(watch(&activity, &Patience::USUAL, now), (30, stalled));
        activity.set_writable(true, now);
        let idle = Verdict::Close(Overdue::Idle);
        assert_eq!(watch(&activity, &Patience::USUAL, now), (75, idle));
    }

    #[test]
    fn a_connection_that_is_to_close_ends_with_its_last_request() {
        let now = Instant::now();
        let mut activity = Activity::new(now);
        let request = activity.start_request(true);
        activity.close(now);
        let (_, verdict) = watch(&activity, &Patience::USUAL, now);
        assert!(matches!(verdict, Verdict::LookAt(_)), "{verdict:?}");
        activity.end_request(request, now);
        assert_eq!(
            watch(&activity, &Patience::USUAL, now),
            (5, Verdict::Drop(None))
        );
    }

    #[test]
    fn a_connection_without_a_request_ends_as_soon_as_the_server_drains() {
        let now = Instant::now();
        let later = now + 1000 * SECOND;
        let silent = Activity::new(now);
        let mut idle = Activity::new(now);
        let request = idle.start_request(true);
        idle.end_request(request, now);
        for mut activity in [silent, idle] {
            activity.drain(later);
            assert_eq!(activity.verdict(&Patience::USUAL, later), Verdict::End);
        }
        let mut busy = Activity::new(now);
        let request = busy.start_request(true);
        busy.drain(now);
        let (_, verdict) = watch(&busy, &Patience::USUAL, now);
        assert!(matches!(verdict, Verdict::LookAt(_)), "{verdict:?}");
        // The end of its response is still to be written.
        busy.end_request(request, later);
        let ends = Verdict::LookAt(later + ENDING_HTTP2);
        assert_eq!(busy.verdict(&Patience::USUAL, later), ends);
        let end = busy.verdict(&Patience::USUAL, later + ENDING_HTTP2);
        assert_eq!(end, Verdict::End);
        busy.set_writable(false, later);
        let (_, verdict) = watch(&busy, &Patience::USUAL, later + ENDING_HTTP2);
        assert_eq!(verdict, Verdict::Drop(None), "it was asked to close");
        let mut http1 = Activity::new(now);
        let request = http1.start_request(false);
        http1.drain(now);
        http1.end_request(request, later);
        let ends = Verdict::LookAt(later + ENDING);
        assert_eq!(http1.verdict(&Patience::USUAL, later), ends);
    }

    #[test]
    fn a_connection_that_gives_way_over_http2_has_time_for_the_end_of_its_last_response() {
        let now = Instant::now();
        for (is_http2, expected) in [(false, Standing::Quiet), (true, Standing::Busy)] {
            let mut activity = Activity::new(now);
            let request = activity.start_request(is_http2);
            activity.end_request(request, now);
            // Whether it is chosen to give way does not depend on the protocol.
            assert_eq!(activity.standing(now), Standing::Quiet);
            activity.close(now);
            assert_eq!(activity.standing(now), expected);
            assert_eq!(activity.standing(now + SECOND), Standing::Quiet);
        }
        let mut activity = Activity::new(now);
        let request = activity.start_request(true);
        activity.end_request(request, now);
        activity.close(now);
        // It is looked at when that time is over.
        let look = activity.verdict(&Patience::USUAL, now);
        assert_eq!(look, Verdict::LookAt(now + SECOND));
    }

    #[test]
    fn a_peer_has_less_time_to_take_a_response_once_the_server_drains() {
        let now = Instant::now();
        let mut activity = Activity::new(now);
        let request = activity.start_request(true);
        activity.offer(request, now);
        let stalled = Verdict::Drop(Some(Overdue::Stalled));
        assert_eq!(watch(&activity, &Patience::USUAL, now), (30, stalled));
        activity.drain(now + SECOND);
        assert_eq!(watch(&activity, &Patience::USUAL, now), (10, stalled));
    }

    #[test]
    fn a_reserved_connection_ends_soon_whatever_happens_on_it() {
        let now = Instant::now();
        let mut activity = Activity::new(now);
        let first = (2, Verdict::Drop(Some(Overdue::FirstRequest)));
        assert_eq!(watch(&activity, &Patience::RESERVED, now), first);
        activity.start_request(true);
        let over = (10, Verdict::Drop(Some(Overdue::Lifetime)));
        assert_eq!(watch(&activity, &Patience::RESERVED, now), over);
    }

    #[test]
    fn a_connection_waits_for_its_peer_if_each_of_its_requests_does() {
        let now = Instant::now();
        let mut activity = Activity::new(now);
        let soon = now + WAITING;
        assert_eq!(activity.standing(soon), Standing::Quiet);
        let (one, other) = (activity.start_request(true), activity.start_request(true));
        activity.expect(one, now);
        activity.offer(one, now);
        assert_eq!(activity.standing(soon), Standing::Busy);
        activity.offer(other, now);
        assert_eq!(activity.standing(soon), Standing::Waiting);
        let earlier = soon - Duration::from_millis(1);
        assert_eq!(activity.standing(earlier), Standing::Busy);
        activity.resume(other);
        assert_eq!(activity.standing(soon), Standing::Busy);
        activity.end_request(other, now);
        assert_eq!(activity.standing(soon), Standing::Waiting);
        // Another request that does not come whole is no news.
        let third = activity.start_request(true);
        assert_eq!(activity.standing(soon), Standing::Busy);
        activity.expect(third, soon);
        assert_eq!(activity.standing(soon), Standing::Waiting);
        activity.end_request(third, soon);
        activity.resume(one);
        activity.receive(one);
        assert_eq!(activity.standing(soon), Standing::Busy);
        activity.set_writable(false, now);
        assert_eq!(activity.standing(soon), Standing::Waiting);
        activity.end_request(one, now);
        assert_eq!(activity.standing(earlier), Standing::Busy);
        assert_eq!(activity.standing(soon), Standing::Waiting);
        activity.set_writable(true, now);
        assert_eq!(activity.standing(soon), Standing::Quiet);
    }

    #[test]
    fn a_shared_connection_waits_for_none_of_its_clients() {
        let now = Instant::now();
        let mut activity = Activity::new(now);
        activity.share();
        let request = activity.start_request(false);
        activity.expect(request, now);
        activity.set_writable(false, now);
        assert_eq!(activity.standing(now + WAITING), Standing::Busy);
        activity.set_writable(true, now);
        activity.end_request(request, now);
        assert_eq!(activity.standing(now), Standing::Quiet);
    }
}
