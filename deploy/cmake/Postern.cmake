# How every target of the tree is built: warnings, sanitizers, linker, and the packages with the reason for each.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

add_library(postern_options INTERFACE)
target_include_directories(postern_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(postern_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Werror -fno-omit-frame-pointer -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_link_options(postern_options INTERFACE -fuse-ld=lld)
  # Designated initialisers that leave the rest to the member defaults are how options are written here.
  target_compile_options(postern_options INTERFACE -Wno-missing-designated-field-initializers)
endif()
if(POSTERN_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -O1 -g1)
  add_link_options(-fsanitize=address,undefined)
elseif(POSTERN_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -O1 -g1)
  add_link_options(-fsanitize=thread)
elseif(NOT POSTERN_SANITIZE STREQUAL "")
  message(FATAL_ERROR "POSTERN_SANITIZE is address or thread, not '${POSTERN_SANITIZE}'")
endif()
if(POSTERN_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -O1 -g1)
  add_link_options(-fsanitize=address,undefined)
endif()

# Packages, one line of reason each.
find_package(OpenSSL 3.0 REQUIRED)                          # TLS, and later the digests and keys of DKIM
find_package(RocksDB REQUIRED)                              # the store: column families, BlobDB, write-ahead log
find_package(fmt REQUIRED)                                  # formatting; std::format is not in libstdc++ 12
find_package(CLI11 REQUIRED)                                # command line
find_package(nlohmann_json REQUIRED)                        # JSON on the control socket, in --json and in the adapter
pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing)  # the reactor's ring
# DNS: recursion, validation and cache inside the process. Its .pc file asks for libevent, which we have no use for.
find_library(UNBOUND_LIBRARY unbound REQUIRED)
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET libidn2)    # U-labels and A-labels of SMTPUTF8 domains
pkg_check_modules(PSL REQUIRED IMPORTED_TARGET libpsl)      # registrable domains, by the public suffix list it has built in
pkg_check_modules(HS REQUIRED IMPORTED_TARGET libhs)        # all patterns of all rules in one pass over a text
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)  # what Hyperscan only narrows down, with limits; excerpts for evidence
pkg_check_modules(TOMLPP REQUIRED IMPORTED_TARGET tomlplusplus)  # the manifest's TOML, with line numbers
# Boost.Beast (headers only) parses and serialises the admin port's HTTP; see gateway/admin.

# postern_module(NAME smtp SOURCES a.cc b.cc DEPENDS postern::reactor fmt::fmt)
# makes the static library postern_smtp, alias postern::smtp. A module with no sources is an interface library.
function(postern_module)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPENDS" ${ARGN})
  if(ARG_SOURCES)
    add_library(postern_${ARG_NAME} STATIC ${ARG_SOURCES})
    target_link_libraries(postern_${ARG_NAME} PUBLIC postern_options ${ARG_DEPENDS})
  else()
    add_library(postern_${ARG_NAME} INTERFACE)
    target_link_libraries(postern_${ARG_NAME} INTERFACE postern_options ${ARG_DEPENDS})
  endif()
  add_library(postern::${ARG_NAME} ALIAS postern_${ARG_NAME})
endfunction()
