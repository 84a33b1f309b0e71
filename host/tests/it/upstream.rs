//! A server behind the host that misbehaves on request, path by path, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// One request as it came in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) connection: usize,
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let header = headers.find(|(held, _)| held == name)?;
        Some(&header.1)
    }
}

#[derive(Default)]
struct State {
    asked: Mutex<Vec<Asked>>,
    closed: AtomicUsize,
    gate: Mutex<bool>,
    opened: Condvar,
    failing: AtomicBool,
}

/// A running upstream.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

/// How a connection is served before HTTP is spoken on it.
pub(crate) type Wrap = Arc<dyn Fn(std::net::TcpStream) -> Option<Box<dyn ReadWrite>> + Send + Sync>;

pub(crate) trait ReadWrite: Read + Write + Send {}
impl<T: Read + Write + Send> ReadWrite for T {}

impl Upstream {
    pub(crate) fn start() -> Self {
        Self::wrapped(Arc::new(|tcp| Some(Box::new(tcp))))
    }

    pub(crate) fn wrapped(wrap: Wrap) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let upstream = Self {
            address: listener.local_addr().expect("an address"),
            state: Arc::default(),
        };
        let state = Arc::clone(&upstream.state);
        std::thread::spawn(move || {
            for (number, tcp) in listener.incoming().enumerate() {
                let Ok(tcp) = tcp else { return };
                let (state, wrap) = (Arc::clone(&state), Arc::clone(&wrap));
                std::thread::spawn(move || {
                    if let Some(stream) = wrap(tcp) {
                        let _ = serve(stream, number, &state);
                    }
                    state.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        upstream
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().expect("no panic").clone()
    }

    /// The requests whose line holds this.
    pub(crate) fn asked_for(&self, part: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.line.contains(part));
        asked
    }

    /// How many connections have ended.
    pub(crate) fn closed(&self) -> usize {
        self.state.closed.load(Ordering::SeqCst)
    }

    /// Lets the requests to `/gate` be answered, those that wait and those to come.
    pub(crate) fn open_gate(&self) {
        *self.state.gate.lock().expect("no panic") = true;
        self.state.opened.notify_all();
    }

    /// Whether `/flaky` fails.
    pub(crate) fn set_failing(&self, failing: bool) {
        self.state.failing.store(failing, Ordering::SeqCst);
    }
}

fn serve(stream: Box<dyn ReadWrite>, connection: usize, state: &State) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(asked) = read(&mut stream, connection)? else {
            return Ok(());
        };
        let path = asked.line.split(' ').nth(1).unwrap_or_default().to_owned();
        let echo = format!("{} {}", asked.line, asked.body);
        state.asked.lock().expect("no panic").push(asked);
        let out = stream.get_mut();
        match path.as_str() {
            "/503" => write!(
                out,
                "HTTP/1.1 503 No\r\ncontent-length: 4\r\nx-real: 1\r\n\r\nreal"
            )?,
            "/flaky" if state.failing.load(Ordering::SeqCst) => {
                write!(out, "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")?;
            }
            "/close-at-once" => return Ok(()),
            "/break-in-body" => {
                write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")?;
                return out.flush();
            }
            "/never" => {
                // Holds until the other side gives up.
                let mut rest = [0; 64];
                while matches!(stream.get_mut().read(&mut rest), Ok(size) if size > 0) {}
                return Ok(());
            }
            "/gate" | "/gate-2" | "/from-configure" => {
                let open = state.gate.lock().expect("no panic");
                drop(
                    state
                        .opened
                        .wait_while(open, |open| !*open)
                        .expect("no panic"),
                );
                write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfrom gate")?;
            }
            "/chunked" => write!(
                out,
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            )?,
            "/huge" => {
                let size = 33 * 1024 * 1024;
                write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n")?;
                let block = vec![b'x'; 1024 * 1024];
                for _ in 0..33 {
                    out.write_all(&block)?;
                }
            }
            _ => {
                let size = echo.len();
                write!(
                    out,
                    "HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n{echo}"
                )?;
            }
        }
        stream.get_mut().flush()?;
    }
}

fn read(stream: &mut impl BufRead, connection: usize) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut asked = Asked {
        connection,
        line: line.trim().to_owned(),
        ..Asked::default()
    };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        asked
            .headers
            .push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if asked.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk)?;
            if size == 0 {
                break;
            }
            asked
                .body
                .push_str(&String::from_utf8_lossy(&chunk[..size]));
        }
    } else if let Some(length) = asked.header("content-length") {
        let mut body = vec![0; length.parse().unwrap_or(0)];
        stream.read_exact(&mut body)?;
        asked.body = String::from_utf8_lossy(&body).into_owned();
    }
    Ok(Some(asked))
}
