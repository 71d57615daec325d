//! A forward server that counts records and acknowledges; as cheap as can be, so that the router is what is measured.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, bail, ensure};
use rmpv::{Value, decode::read_value, encode::write_value};

/// MessagePack's `str 32`, as which packed entries come.
const STR_32: u8 = 0xdb;
/// MessagePack's header of an array of three.
const ARRAY_3: u8 = 0x93;

/// Takes messages `[tag, entries, option]` until the connection ends.
pub(super) fn serve(stream: &TcpStream, records: &AtomicU64) -> anyhow::Result<()> {
    let mut reader = BufReader::with_capacity(256 << 10, stream);
    let mut writer = stream;
    let mut entries = Vec::new();
    while !reader.fill_buf()?.is_empty() {
        let [array] = bytes(&mut reader)?;
        ensure!(array == ARRAY_3, "no message of three parts");
        read_value(&mut reader)?;
        let [kind, len @ ..] = bytes::<5>(&mut reader)?;
        ensure!(kind == STR_32, "no packed entries");
        entries.resize(usize::try_from(u32::from_be_bytes(len))?, 0);
        reader.read_exact(&mut entries)?;
        let Value::Map(option) = read_value(&mut reader)? else {
            bail!("no option");
        };
        let value = |name: &str| {
            let pair = option.iter().find(|(key, _)| key.as_str() == Some(name));
            pair.map(|(_, value)| value)
        };
        let count = value("size").and_then(Value::as_u64).context("no size")?;
        let chunk = value("chunk").context("no chunk id")?.clone();
        let mut ack = Vec::new();
        write_value(&mut ack, &Value::Map(vec![("ack".into(), chunk)]))?;
        writer.write_all(&ack)?;
        records.fetch_add(count, Ordering::Relaxed);
    }
    Ok(())
}

fn bytes<const LEN: usize>(reader: &mut impl BufRead) -> anyhow::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}
