#include "gateway/smtp/data_decoder.h"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace postern::smtp {
namespace {

constexpr std::size_t kBlock = 64;

/// One bit for each octet of a block.
struct Marks {
  std::uint64_t cr = 0, lf = 0, dot = 0;
};

#if defined(__SSE2__)
std::uint64_t equal(const __m128i* lanes, char wanted) {
  const __m128i needle = _mm_set1_epi8(wanted);
  std::uint64_t bits = 0;
  for (unsigned lane = 0; lane < 4; ++lane) {
    const auto hits = static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(lanes[lane], needle)));
    bits |= std::uint64_t{hits} << (16 * lane);
  }
  return bits;
}

template <bool kDots>
Marks mark(const char* block) {
  __m128i lanes[4];
  for (unsigned lane = 0; lane < 4; ++lane) {
    lanes[lane] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * lane));
  }
  return {equal(lanes, '\r'), equal(lanes, '\n'), kDots ? equal(lanes, '.') : 0};
}
#else
template <bool kDots>
Marks mark(const char* block) {
  Marks marks;
  for (unsigned i = 0; i < kBlock; ++i) {
    const std::uint64_t bit = std::uint64_t{1} << i;
    if (block[i] == '\r') marks.cr |= bit;
    if (block[i] == '\n') marks.lf |= bit;
    if (kDots && block[i] == '.') marks.dot |= bit;
  }
  return marks;
}
#endif

}  // namespace

/// How many octets from `begin` need no thought: every LF follows a CR, every CR is followed by LF, no line
/// begins with a dot. Blocks are judged whole by comparing the bit patterns; the first octet that breaks one
/// of the rules ends the run. Starts in line_start or text and leaves the state after the last octet of the
/// run (possibly cr).
template <bool kDots>
std::size_t DataDecoder::plain_run(const char* begin, const char* end) {
  std::uint64_t after_cr = 0;
  std::uint64_t at_start = state_ == State::line_start ? 1 : 0;
  const char* p = begin;
  while (p != end) {
    const std::size_t size = std::min<std::size_t>(kBlock, static_cast<std::size_t>(end - p));
    char tail[kBlock];
    const char* block = p;
    if (size < kBlock) {
      std::memset(tail, 'x', sizeof tail);
      std::memcpy(tail, p, size);
      block = tail;
    }
    const Marks marks = mark<kDots>(block);
    std::uint64_t odd = marks.lf ^ ((marks.cr << 1) | after_cr);  // a bare LF, or what stands after a bare CR
    if (kDots) odd |= marks.dot & ((marks.lf << 1) | at_start);
    if (size < kBlock) odd &= (std::uint64_t{1} << size) - 1;
    if (odd != 0) {
      const auto plain = static_cast<std::size_t>(std::countr_zero(odd));
      if (plain > 0) {
        after_cr = (marks.cr >> (plain - 1)) & 1;
        at_start = (marks.lf >> (plain - 1)) & 1;
      }
      p += plain;
      break;
    }
    after_cr = (marks.cr >> (size - 1)) & 1;
    at_start = (marks.lf >> (size - 1)) & 1;
    p += size;
  }
  state_ = after_cr != 0 ? State::cr : at_start != 0 ? State::line_start : State::text;
  return static_cast<std::size_t>(p - begin);
}

std::size_t DataDecoder::write(std::string_view wire, Body& body) {
  std::size_t consumed = wire.size();
  if (rules_.framing == DataFraming::binary) {
    emit(wire, body);
  } else {
    consumed = write_lines(wire, body);
  }
  if (rules_.line_octets_max < kLineUnbounded) measure_lines(wire.substr(0, consumed), body);
  return consumed;
}

std::size_t DataDecoder::write_lines(std::string_view wire, Body& body) {
  const bool dots = rules_.framing == DataFraming::dot;
  const char* const begin = wire.data();
  const char* const end = begin + wire.size();
  const char* p = begin;
  const char* run = begin;  // [run, p) goes to the body as it stands
  const auto flush_to = [&](const char* stop) { emit({run, static_cast<std::size_t>(stop - run)}, body); };

  while (p != end && state_ != State::done) {
    if (state_ == State::line_start || state_ == State::text) {
      p += dots ? plain_run<true>(p, end) : plain_run<false>(p, end);
      if (state_ == State::cr) {  // held back until it is known whether an LF follows
        flush_to(p - 1);
        run = p;
      }
      if (p == end) break;
    }
    const char octet = *p;
    switch (state_) {
      case State::line_start:
      case State::text:  // plain_run stopped here: a bare LF, or a dot at the start of a line
        flush_to(p);
        run = ++p;
        if (octet == '\n') {
          bare_ending(body);
        } else {
          state_ = State::dot;
        }
        break;
      case State::cr:
        if (octet == '\n') {
          emit("\r\n", body);
          run = ++p;
          state_ = State::line_start;
        } else {
          bare_ending(body);
        }
        break;
      case State::dot:
        if (octet == '\r') {
          run = ++p;
          state_ = State::dot_cr;
        } else if (octet == '\n') {  // CRLF.LF ends nothing
          emit(".", body);
          run = ++p;
          bare_ending(body);
        } else {
          state_ = State::text;  // §4.5.2: the first dot goes, the rest of the line stays
        }
        break;
      case State::dot_cr:
        if (octet == '\n') {
          run = ++p;
          state_ = State::done;
        } else {  // CRLF.CR ends nothing
          emit(".", body);
          bare_ending(body);
        }
        break;
      case State::soft_start:
        if (octet == '.') {
          run = ++p;
          state_ = State::soft_dot;
        } else {
          state_ = State::text;
        }
        break;
      case State::soft_dot:
        if (octet == '\r') {  // a line of one dot that a bare ending began: content, whatever ends it
          emit(".", body);
          run = ++p;
          state_ = State::cr;
        } else if (octet == '\n') {
          emit(".", body);
          run = ++p;
          bare_ending(body);
        } else {
          state_ = State::text;  // who ends lines with a bare LF also stuffs dots after it
        }
        break;
      case State::done:
        break;
    }
  }
  flush_to(p);
  return static_cast<std::size_t>(p - begin);
}

void DataDecoder::finish(Body& body) {
  if (state_ == State::cr) bare_ending(body);
}

void DataDecoder::bare_ending(Body& body) {
  ++bare_line_endings_;
  state_ = State::text;
  if (rules_.bare_line_endings == BareLineEndings::reject) return discard(body);
  emit("\r\n", body);
  if (rules_.framing == DataFraming::dot) state_ = State::soft_start;
}

void DataDecoder::emit(std::string_view octets, Body& body) {
  octets_ += octets.size();
  if (discarding_ || octets.empty()) return;
  if (octets_ > rules_.octets_max) return discard(body);
  if (body.append(octets)) return;
  out_of_budget_ = true;
  discard(body);
}

/// Octets between two LF, both sides of a CRLF counted.
void DataDecoder::measure_lines(std::string_view wire, Body& body) {
  while (!wire.empty()) {
    const auto lf = wire.find('\n');
    const std::size_t part = lf == std::string_view::npos ? wire.size() : lf + 1;
    line_octets_ += part;
    if (line_octets_ > rules_.line_octets_max && !line_too_long_) {
      line_too_long_ = true;
      discard(body);
    }
    if (lf != std::string_view::npos) line_octets_ = 0;
    wire.remove_prefix(part);
  }
}

void DataDecoder::discard(Body& body) {
  discarding_ = true;
  body.clear();
}

DataError DataDecoder::error() const {
  if (bare_line_endings_ > 0 && rules_.bare_line_endings == BareLineEndings::reject)
    return DataError::bare_line_ending;
  if (line_too_long_) return DataError::line_too_long;
  if (octets_ > rules_.octets_max) return DataError::too_large;
  if (out_of_budget_) return DataError::out_of_budget;
  return DataError::none;
}

}  // namespace postern::smtp
