//! The load, in a process of its own: what it allocates is not the server's.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::thread;

use tokio::task::LocalSet;

use crate::case::Case;

/// The first argument that makes the program be the load.
pub(crate) const COMMAND: &str = "load";

const MUTATION: &str =
    "mutation P($t: String!, $p: JSON!) { publish(topic: $t, payload: $p) { cursor } }";
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
    client_no_context_takeover\r\n";

/// Subscribes, reads and forgets all that comes; publishes a burst for each byte of standard
/// input, until that ends.
pub(crate) fn run(case: &Case, subscribers: usize, address: &str) -> io::Result<()> {
    let mut publisher = connect(address, false)?;
    let mut answers = publisher.try_clone()?;
    let subscribe = |index| {
        let mut stream = connect(address, case.is_deflated)?;
        let query = serde_json::Value::from((case.document)(index));
        let text = format!(r#"{{"id":"1","type":"subscribe","payload":{{"query":{query}}}}}"#);
        stream.write_all(&frame(&text))?;
        Ok(stream)
    };
    let streams: Vec<TcpStream> = (0..subscribers).map(subscribe).collect::<io::Result<_>>()?;
    thread::spawn(move || drain(streams));
    thread::spawn(move || io::copy(&mut answers, &mut io::sink()));
    let mut number = 0;
    for credit in io::stdin().lock().bytes() {
        credit?;
        let texts = (number..number + case.burst).map(|number| publish(case, number));
        number += case.burst;
        let frames: Vec<u8> = texts.flat_map(|text| frame(&text)).collect();
        publisher.write_all(&frames)?;
    }
    Ok(())
}

fn publish(case: &Case, number: u64) -> String {
    let (topic, payload) = ((case.topic)(number), case.payload(number));
    let variables = format!(r#"{{"t":"{topic}","p":{payload}}}"#);
    let payload = format!(r#"{{"query":"{MUTATION}","variables":{variables}}}"#);
    format!(r#"{{"id":"{number:x}","type":"subscribe","payload":{payload}}}"#)
}

/// A connection that has been acknowledged.
fn connect(address: &str, is_deflated: bool) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let offer = if is_deflated { OFFER } else { "" };
    let head = format!(
        "GET /graphql HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: graphql-transport-ws\r\n{offer}\r\n"
    );
    stream.write_all(head.as_bytes())?;
    // Nothing follows either answer before the client has said more.
    expect(&mut stream, "HTTP/1.1 101")?;
    stream.write_all(&frame(r#"{"type":"connection_init"}"#))?;
    expect(&mut stream, "connection_ack")?;
    Ok(stream)
}

fn expect(stream: &mut TcpStream, part: &str) -> io::Result<()> {
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer[..length]);
    if answer.contains(part) {
        return Ok(());
    }
    Err(io::Error::other(format!("the server answered {answer:?}, not {part:?}")))
}

/// A text frame whose mask is all zero, which leaves the text as it is.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(text.len()).unwrap_or(u16::MAX) {
        length @ 0..=125 => frame.push(0x80 | length.to_le_bytes()[0]),
        length => {
            frame.push(0x80 | 0x7e);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

fn drain(streams: Vec<TcpStream>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let tasks = LocalSet::new();
    let scratch = Rc::new(RefCell::new(vec![0; 256 << 10]));
    let guard = runtime.enter();
    for stream in streams {
        stream.set_nonblocking(true)?;
        let (stream, scratch) = (tokio::net::TcpStream::from_std(stream)?, scratch.clone());
        tasks.spawn_local(async move {
            while stream.readable().await.is_ok() {
                if matches!(stream.try_read(&mut scratch.borrow_mut()), Ok(0)) {
                    return;
                }
            }
        });
    }
    drop(guard);
    runtime.block_on(tasks);
    Ok(())
}
