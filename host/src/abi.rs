//! The proxy-wasm ABI 0.2.1 on the wire: status codes, memory access, and maps as bytes. Nothing else.
//!
//! Numbers are little-endian 32-bit, pointers are offsets into the module's memory. Results that have no fixed size
//! are written into memory that the module itself allocates, so returning one calls back into the module.

use wasmtime::{AsContext, AsContextMut, Memory, TypedFunc};

/// The result of a host call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    InternalFailure = 10,
    BrokenConnection = 11,
    Unimplemented = 12,
}

/// Header, trailer and response maps, with the numbers of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapType {
    RequestHeaders,
    RequestTrailers,
    ResponseHeaders,
    ResponseTrailers,
    GrpcInitialMetadata,
    GrpcTrailingMetadata,
    CallResponseHeaders,
    CallResponseTrailers,
}

impl MapType {
    pub(crate) fn from_abi(number: u32) -> Result<Self, Status> {
        Ok(match number {
            0 => Self::RequestHeaders,
            1 => Self::RequestTrailers,
            2 => Self::ResponseHeaders,
            3 => Self::ResponseTrailers,
            4 => Self::GrpcInitialMetadata,
            5 => Self::GrpcTrailingMetadata,
            6 => Self::CallResponseHeaders,
            7 => Self::CallResponseTrailers,
            _ => return Err(Status::BadArgument),
        })
    }
}

/// Buffers, with the numbers of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BufferType {
    RequestBody,
    ResponseBody,
    DownstreamData,
    UpstreamData,
    CallResponseBody,
    GrpcReceive,
    VmConfiguration,
    PluginConfiguration,
    CallData,
}

impl BufferType {
    pub(crate) fn from_abi(number: u32) -> Result<Self, Status> {
        Ok(match number {
            0 => Self::RequestBody,
            1 => Self::ResponseBody,
            2 => Self::DownstreamData,
            3 => Self::UpstreamData,
            4 => Self::CallResponseBody,
            5 => Self::GrpcReceive,
            6 => Self::VmConfiguration,
            7 => Self::PluginConfiguration,
            8 => Self::CallData,
            _ => return Err(Status::BadArgument),
        })
    }
}

/// The module's memory and allocator.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) memory: Memory,
    pub(crate) allocate: TypedFunc<u32, u32>,
}

/// A host call that did not work: a status for the module, or a trap that ends the VM.
#[derive(Debug)]
pub(crate) enum Fault {
    Status(Status),
    Trap(wasmtime::Error),
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl Guest {
    pub(crate) fn read(
        &self,
        store: impl AsContext,
        pointer: u32,
        size: u32,
    ) -> Result<Vec<u8>, Status> {
        let start = pointer as usize;
        let end = start
            .checked_add(size as usize)
            .ok_or(Status::InvalidMemoryAccess)?;
        let bytes = self.memory.data(&store).get(start..end);
        bytes.map(<[u8]>::to_vec).ok_or(Status::InvalidMemoryAccess)
    }

    pub(crate) fn write(
        &self,
        store: impl AsContextMut,
        pointer: u32,
        bytes: &[u8],
    ) -> Result<(), Status> {
        self.memory
            .write(store, pointer as usize, bytes)
            .map_err(|_| Status::InvalidMemoryAccess)
    }

    pub(crate) fn write_u32(
        &self,
        store: impl AsContextMut,
        pointer: u32,
        value: u32,
    ) -> Result<(), Status> {
        self.write(store, pointer, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(
        &self,
        store: impl AsContextMut,
        pointer: u32,
        value: u64,
    ) -> Result<(), Status> {
        self.write(store, pointer, &value.to_le_bytes())
    }

    /// Hands `bytes` to the module: allocates there, copies, and writes pointer and size. Empty is a null pointer.
    pub(crate) fn give(
        &self,
        mut store: impl AsContextMut,
        bytes: &[u8],
        pointer_at: u32,
        size_at: u32,
    ) -> Result<(), Fault> {
        let mut pointer = 0;
        let size = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        if size > 0 {
            pointer = self.allocate.call(&mut store, size).map_err(Fault::Trap)?;
            if pointer == 0 {
                return Err(Status::InvalidMemoryAccess.into());
            }
            self.write(&mut store, pointer, bytes)?;
        }
        self.write_u32(&mut store, pointer_at, pointer)?;
        self.write_u32(&mut store, size_at, size)?;
        Ok(())
    }
}

/// A map as the ABI carries it.
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The most bytes of a map that are read from a module.
const MAX_PAIRS_BYTES: usize = 1024 * 1024;
/// The most pairs of a map that are read from a module.
const MAX_PAIRS: usize = 1024;

/// Count, all sizes, then names and values, each with a null byte behind it. No pairs at all are no bytes at all.
pub(crate) fn encode_pairs<'a, I>(pairs: I) -> Vec<u8>
where
    I: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
{
    let count = pairs.clone().count();
    if count == 0 {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    bytes.extend(number(count));
    for (name, value) in pairs.clone() {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for (name, value) in pairs {
        bytes.extend(name);
        bytes.push(0);
        bytes.extend(value);
        bytes.push(0);
    }
    bytes
}

/// What is malformed or too large reads as no pairs, as in Envoy.
pub(crate) fn decode_pairs(bytes: &[u8]) -> Pairs {
    if bytes.len() > MAX_PAIRS_BYTES {
        return Pairs::new();
    }
    try_decode_pairs(bytes).unwrap_or_default()
}

fn try_decode_pairs(bytes: &[u8]) -> Option<Pairs> {
    let (count, mut sizes) = take_number(bytes)?;
    if count > MAX_PAIRS {
        return None;
    }
    let mut rest = sizes.get(count * 8..)?;
    let mut pairs = Pairs::with_capacity(count);
    for _ in 0..count {
        let (name_size, after) = take_number(sizes)?;
        let (value_size, after) = take_number(after)?;
        sizes = after;
        let (name, after) = take_terminated(rest, name_size)?;
        let (value, after) = take_terminated(after, value_size)?;
        rest = after;
        pairs.push((name.to_vec(), value.to_vec()));
    }
    rest.is_empty().then_some(pairs)
}

fn take_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

fn take_terminated(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (taken, rest) = bytes.split_at_checked(size)?;
    let (&end, rest) = rest.split_first()?;
    (end == 0).then_some((taken, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        encode_pairs(pairs.iter().copied())
    }

    #[test]
    fn pairs_survive_the_wire_with_empty_and_binary_values() {
        let pairs: &[(&[u8], &[u8])] = &[(b":path", b"/a"), (b"x", b""), (b"x", b"\xff\0\x01")];
        let expected: Pairs = pairs
            .iter()
            .map(|(n, v)| (n.to_vec(), v.to_vec()))
            .collect();
        assert_eq!(decode_pairs(&encoded(pairs)), expected);
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        assert_eq!(
            encoded(&[(b"ab", b"c")]),
            b"\x01\0\0\0\x02\0\0\0\x01\0\0\0ab\0c\0"
        );
        assert_eq!(encoded(&[]), b"");
    }

    #[test]
    fn malformed_pairs_read_as_none() {
        let whole = encoded(&[(b"ab", b"c")]);
        for end in 0..whole.len() {
            assert_eq!(decode_pairs(&whole[..end]), Pairs::new(), "cut at {end}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(decode_pairs(&longer), Pairs::new());
        assert_eq!(decode_pairs(&[0xff; 64]), Pairs::new());
    }
}
