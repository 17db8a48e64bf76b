#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "storage/codec.h"
#include "storage/lock_file.h"
#include "storage/store.h"
#include "tests/unit/storage/support.h"

namespace postern::storage {
namespace {

using test::deliver;
using test::open_store;
using test::options_for;
using test::to;
using test::transaction;
using test::why;

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

Options read_only(const std::filesystem::path& path) {
  Options options = options_for(path);
  options.read_only = true;
  return options;
}

/// The error of opening, which must be one.
Error refusal(const Options& options) {
  auto store = Store::open(options);
  EXPECT_FALSE(store) << "was opened";
  return store ? Error{} : std::move(store.error());
}

void change(const std::filesystem::path& path, Table table, std::string_view key, std::string_view value) {
  const auto database = test::open_database(path);
  ASSERT_NE(database, nullptr);
  test::put(*database, table, key, value);
}

TEST(Open, MakesADirectoryThatNobodyElseLooksInto) {
  const test::ScratchDirectory scratch;
  const auto store = open_store(options_for(scratch / "a/b/store"));
  ASSERT_NE(store, nullptr);
  struct stat status{};
  ASSERT_EQ(::stat((scratch / "a/b/store").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
}

TEST(Open, ASecondOpenerIsToldWhoHasTheStore) {
  const test::ScratchDirectory scratch;
  auto store = open_store(options_for(scratch.path()));
  const std::string sentence = fmt::format("{}: another postern (pid {}) has the store open (locked)",
                                           scratch.path().string(), ::getpid());
  EXPECT_EQ(refusal(options_for(scratch.path())).text(), sentence);
  EXPECT_EQ(refusal(read_only(scratch.path())).text(), sentence);
  EXPECT_TRUE(refusal(options_for(scratch.path())).is_temporary());
  ASSERT_EQ(why(deliver(*store, transaction(1, to("a@x.example")))), "") << "the first is not disturbed";
  store->close();
  EXPECT_EQ(why(Store::open(options_for(scratch.path()))), "");
}

TEST(Open, AnotherProcessHoldsTheLockUntilItDies) {
  const test::ScratchDirectory scratch;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto lock = LockFile::take(scratch.path());
    const char told = lock ? 'y' : 'n';
    if (::write(ready[1], &told, 1) == 1) ::pause();
    ::_exit(1);
  }
  char told = 'n';
  ASSERT_EQ(::read(ready[0], &told, 1), 1);
  EXPECT_EQ(told, 'y');
  const Error error = refusal(options_for(scratch.path()));
  EXPECT_EQ(error.code, Code::locked);
  EXPECT_TRUE(has(error.text(), fmt::format("(pid {})", child))) << error.text();
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(why(Store::open(options_for(scratch.path()))), "") << "a lock file of the dead is no lock";
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(Open, LookingForTheHolderTakesNothing) {
  const test::ScratchDirectory scratch;
  {
    EXPECT_EQ(why(LockFile::take(scratch.path())), "");
  }
  EXPECT_EQ(why(LockFile::check(scratch.path())), "");
  const auto lock = LockFile::take(scratch.path());
  EXPECT_EQ(why(lock), "");
  EXPECT_FALSE(LockFile::check(scratch.path()));
  EXPECT_FALSE(LockFile::take(scratch.path())) << "looking has not taken it away either";
}

TEST(Open, AWriterMayComeWhileAReaderReads) {
  const test::ScratchDirectory scratch;
  {
    const auto store = open_store(options_for(scratch.path()));
    ASSERT_EQ(why(deliver(*store, transaction(1, to("a@x.example")))), "");
  }
  const auto reader = open_store(read_only(scratch.path()));
  const auto writer = open_store(options_for(scratch.path()));
  ASSERT_NE(writer, nullptr);
  ASSERT_EQ(why(deliver(*writer, transaction(2, to("a@x.example")))), "");
  EXPECT_EQ(reader->message(test::id_of(1)).value_or(""), test::message_of(1));
  EXPECT_EQ(reader->usage("a@x.example").messages, 1U) << "the reader sees the store as it was";
}

TEST(Open, ReadOnlyReadsAllAndWritesNothing) {
  const test::ScratchDirectory scratch;
  {
    const auto store = open_store(options_for(scratch.path()));
    ASSERT_EQ(why(deliver(*store, transaction(1, to("a@x.example")))), "");
    ASSERT_EQ(why(store->flush()), "");
    ASSERT_EQ(why(deliver(*store, transaction(2, to("a@x.example")))), "") << "this one is in the log alone";
  }
  const auto list = [&] {
    std::string names;
    for (const auto& file : std::filesystem::directory_iterator(scratch.path()))
      names +=
          fmt::format("{} {}\n", file.path().string(), file.last_write_time().time_since_epoch().count());
    return names;
  };
  const std::string before = list();
  {
    const auto store = open_store(read_only(scratch.path()));
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(store->message(test::id_of(1)).value_or(""), test::message_of(1));
    EXPECT_EQ(store->message(test::id_of(2)).value_or(""), test::message_of(2));
    EXPECT_EQ(store->usage("a@x.example").messages, 2U);
    EXPECT_EQ(test::problems(*store), "");
    test::Outcome outcome;
    EXPECT_TRUE(store->would_refuse());
    EXPECT_FALSE(store->submit(transaction(3, to("a@x.example")), outcome));
    EXPECT_TRUE(has(why(store->set_flags("a@x.example", "INBOX", 1, kSeen, 0)), "open for reading only"));
    EXPECT_EQ(store->statistics().trouble, "the store is open for reading only");
  }
  EXPECT_EQ(list(), before);
}

TEST(Open, NothingIsMadeWhereNoneIsAskedFor) {
  const test::ScratchDirectory scratch;
  Options existing = options_for(scratch / "none");
  existing.create_if_missing = false;
  EXPECT_TRUE(has(refusal(existing).text(), "none: there is no store here (not found)"));
  EXPECT_EQ(refusal(read_only(scratch / "none")).code, Code::not_found);
  EXPECT_FALSE(std::filesystem::exists(scratch / "none"));
  std::filesystem::create_directory(scratch / "empty");
  existing.path = scratch / "empty";
  EXPECT_EQ(refusal(existing).code, Code::not_found);
  EXPECT_EQ(refusal(read_only(scratch / "empty")).code, Code::not_found);
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "empty") ||
              !std::filesystem::exists(scratch / "empty" / "CURRENT"));
}

TEST(Open, AFileIsNoStore) {
  const test::ScratchDirectory scratch;
  std::ofstream(scratch / "file") << "mail";
  EXPECT_TRUE(has(refusal(options_for(scratch / "file")).text(), "file: is not a directory"));
  EXPECT_TRUE(has(refusal(options_for(scratch / "file/below")).text(), "file/below: "));
}

TEST(Open, ANewerFormatIsLeftAlone) {
  const test::ScratchDirectory scratch;
  {
    ASSERT_NE(open_store(options_for(scratch.path())), nullptr);
  }
  std::string value;
  encode_format(kFormat + 1, value);
  change(scratch.path(), Table::meta, kFormatKey, value);
  for (const Options& options : {options_for(scratch.path()), read_only(scratch.path())}) {
    const Error error = refusal(options);
    EXPECT_EQ(error.code, Code::newer_format);
    EXPECT_EQ(error.text(),
              fmt::format("{}: written by a newer version (format 2; this program reads up to 1) "
                          "(newer format)",
                          scratch.path().string()));
  }
}

TEST(Open, AnUnknownColumnFamilyIsANewerFormat) {
  const test::ScratchDirectory scratch;
  {
    ASSERT_NE(open_store(options_for(scratch.path())), nullptr);
  }
  {
    const auto database = test::open_database(scratch.path());
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    ASSERT_TRUE(database->db().CreateColumnFamily(rocksdb::ColumnFamilyOptions(), "threads", &handle).ok());
    ASSERT_TRUE(database->db().DestroyColumnFamilyHandle(handle).ok());
  }
  const Error error = refusal(options_for(scratch.path()));
  EXPECT_EQ(error.code, Code::newer_format);
  EXPECT_TRUE(has(error.text(), "it has a column family \"threads\" that this program does not know"));
}

TEST(Open, DamageThatWouldBeWrittenOverIsRefusedAndNamed) {
  struct Case {
    std::string_view name;
    Table table;
    std::string_view key, value, context;
    bool readable;  ///< for reading only, so that verify() can say more
  };
  const Case cases[] = {
      {"format", Table::meta, kFormatKey, "\x01", "format record: octet 1: the record ends early", false},
      {"ledger", Table::meta, kLedgerKey, "\x07",
       "ledger: octet 0: a record version this program does not know", true},
      {"mailbox", Table::mailboxes, "a@x.example", "\x01",
       "mailbox \"a@x.example\": octet 1: the record ends early", true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const test::ScratchDirectory scratch;
    {
      ASSERT_NE(open_store(options_for(scratch.path())), nullptr);
    }
    change(scratch.path(), c.table, c.key, c.value);
    const Error error = refusal(options_for(scratch.path()));
    EXPECT_EQ(error.code, Code::corrupt);
    EXPECT_TRUE(has(error.text(), c.context)) << error.text();
    EXPECT_TRUE(has(error.text(), scratch.path().string())) << error.text();
    const auto reader = Store::open(read_only(scratch.path()));
    EXPECT_EQ(reader.has_value(), c.readable);
    if (reader) {
      EXPECT_TRUE(has(test::problems(**reader), c.context)) << test::problems(**reader);
    }
  }
}

TEST(Open, AStoreWithoutAFormatIsNotOurs) {
  const test::ScratchDirectory scratch;
  change(scratch.path(), Table::meta, "something", "else");
  EXPECT_TRUE(has(refusal(options_for(scratch.path())).text(), "has no format record (corrupt)"));
}

TEST(Open, AnInterruptedBirthIsFinished) {
  const test::ScratchDirectory scratch;
  {
    ASSERT_NE(test::open_database(scratch.path()), nullptr);
  }  // column families, and not a record in them
  const auto store = open_store(options_for(scratch.path()));
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(why(deliver(*store, transaction(1, to("a@x.example")))), "");
  EXPECT_EQ(test::problems(*store), "");
}

TEST(Open, ADamagedTableIsNotReadAsMail) {
  const test::ScratchDirectory scratch;
  {
    const auto store = open_store(options_for(scratch.path()));
    ASSERT_EQ(why(deliver(*store, transaction(1, to("a@x.example"), std::string(50'000, 'x')))), "");
    ASSERT_EQ(why(store->flush()), "");
  }
  for (const auto& file : std::filesystem::directory_iterator(scratch.path())) {
    if (file.path().extension() != ".blob") continue;
    std::fstream blob(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    blob.seekp(25'000);
    blob.put('y');
  }
  const auto store = open_store(options_for(scratch.path()));
  ASSERT_NE(store, nullptr);
  const auto message = store->message(test::id_of(1));
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, Code::corrupt);
  EXPECT_TRUE(
      has(test::problems(*store), fmt::format("message {}: its body cannot be read", test::id_of(1).text())));
}

/// Without the rights of root for the length of a scope; root may open anything.
class AsNobody {
 public:
  AsNobody() : was_root_(::geteuid() == 0) {
    if (was_root_) EXPECT_EQ(::seteuid(65534), 0);
  }
  ~AsNobody() {
    if (was_root_) EXPECT_EQ(::seteuid(0), 0);
  }

 private:
  bool was_root_;
};

TEST(Open, DirectoriesThatMayNotBeUsedAreNamed) {
  struct Case {
    std::string_view name;
    unsigned mode;
    bool store_inside;
  };
  for (const Case& c : {Case{"unreadable", 0000, false}, Case{"unwritable", 0555, false},
                        Case{"parent unwritable", 0555, true}}) {
    SCOPED_TRACE(c.name);
    const test::ScratchDirectory scratch;
    ASSERT_EQ(::chmod(scratch.path().c_str(), 0755), 0);
    std::filesystem::create_directory(scratch / "place");
    ASSERT_EQ(::chmod((scratch / "place").c_str(), c.mode), 0);
    const std::filesystem::path path = c.store_inside ? scratch / "place/store" : scratch / "place";
    Error error;
    {
      const AsNobody nobody;
      error = refusal(options_for(path));
    }
    ASSERT_EQ(::chmod((scratch / "place").c_str(), 0755), 0);
    EXPECT_EQ(error.code, Code::io);
    EXPECT_TRUE(has(error.text(), path.string())) << error.text();
    EXPECT_TRUE(has(error.text(), "Permission denied")) << error.text();
  }
}

}  // namespace
}  // namespace postern::storage
