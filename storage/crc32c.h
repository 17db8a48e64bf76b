#pragma once

#include <cstddef>
#include <cstdint>

namespace postern::storage {

/// CRC-32C (Castagnoli), the checksum on every record of RocksDB's write-ahead log and on every body it
/// stores. `crc` is that of the octets before these; 0 at the beginning.
///
/// Debian's RocksDB is built for the plainest x86-64 and computes it from tables, octet by octet: 18 % of all
/// CPU of a stored message went there. crc32c.cc therefore defines RocksDB's own entry point
/// (rocksdb::crc32c::Extend) with the processor's instruction behind it; the dynamic linker prefers the
/// program's definition to the library's. Where the name or the signature should change one day, nothing
/// breaks: the library then uses its own again.
std::uint32_t crc32c_extend(std::uint32_t crc, const char* octets, std::size_t count);

/// The same from a table, on any processor: what crc32c_extend() falls back to and is tested against.
std::uint32_t crc32c_extend_portable(std::uint32_t crc, const char* octets, std::size_t count);

/// Asks RocksDB for the checksum of a known text, and so makes sure that this file is linked in, and that
/// what RocksDB calls gives the right answer. False: it does not, and nothing may be written.
bool crc32c_is_sound();

}  // namespace postern::storage
