#pragma once

#include <string_view>

/// The replies a session gives by itself, in wire form: one append each. What a driver or the grammar says is
/// a Reply. Code and enhanced code side by side as in RFC 5321 §4.2.3 and RFC 3463 §3; the registry is that
/// of RFC 5248.
namespace postern::smtp::replies {

struct Fixed {
  int code;
  std::string_view wire;
};

inline constexpr Fixed kOk{250, "250 2.0.0 Ok\r\n"};
inline constexpr Fixed kReset{250, "250 2.0.0 Reset\r\n"};
inline constexpr Fixed kSenderOk{250, "250 2.1.0 Sender ok\r\n"};
inline constexpr Fixed kRecipientOk{250, "250 2.1.5 Recipient ok\r\n"};
inline constexpr Fixed kGoAhead{354, "354 Go ahead, end with CRLF.CRLF\r\n"};
inline constexpr Fixed kChunkTaken{250, "250 2.0.0 Chunk received\r\n"};
inline constexpr Fixed kAccepted{250, "250 2.0.0 Message accepted\r\n"};
inline constexpr Fixed kReadyForTls{220, "220 2.0.0 Ready to start TLS\r\n"};
inline constexpr Fixed kHelp{214, "214 2.0.0 RFC 5321; the extensions are in the reply to EHLO\r\n"};
/// RFC 5321 §3.5.3, §7.3: neither yes nor no. X.5.0 says nothing of the address, where X.1.5 would call it
/// valid.
inline constexpr Fixed kCannotVerify{252, "252 2.5.0 Cannot VRFY, send the message to find out\r\n"};

// Out of sequence: RFC 5321 §4.1.4.
inline constexpr Fixed kSayHelloFirst{503, "503 5.5.1 Send EHLO first\r\n"};
inline constexpr Fixed kSayLhloFirst{503, "503 5.5.1 Send LHLO first\r\n"};
inline constexpr Fixed kMailFirst{503, "503 5.5.1 Send MAIL first\r\n"};
inline constexpr Fixed kNestedMail{503, "503 5.5.1 A transaction is under way, send RSET first\r\n"};
inline constexpr Fixed kNeedsRset{503, "503 5.5.1 The transaction failed, send RSET\r\n"};
inline constexpr Fixed kInsideChunks{503, "503 5.5.1 Only BDAT or RSET between chunks\r\n"};
inline constexpr Fixed kNeedsBdat{503, "503 5.5.1 BODY=BINARYMIME needs BDAT, send RSET\r\n"};
inline constexpr Fixed kNoRecipients{554, "554 5.5.1 No valid recipients\r\n"};      // §3.3
inline constexpr Fixed kNoRecipientsLmtp{503, "503 5.5.1 No valid recipients\r\n"};  // RFC 2033 §4.2
inline constexpr Fixed kTlsAlreadyOn{503, "503 5.5.1 TLS is active already\r\n"};
inline constexpr Fixed kRefusedAtConnect{503, "503 5.5.1 No mail is taken here, send QUIT\r\n"};  // §3.1
inline constexpr Fixed kXclientInTransaction{503, "503 5.5.1 XCLIENT must stand outside a transaction\r\n"};

// Commands we do not have: RFC 5321 §4.2.4.
inline constexpr Fixed kUnknownCommand{500, "500 5.5.1 Command not recognized\r\n"};
inline constexpr Fixed kHelloOfLmtp{500, "500 5.5.1 This is SMTP, say EHLO\r\n"};
inline constexpr Fixed kHelloOfSmtp{500, "500 5.5.1 This is LMTP, say LHLO\r\n"};  // RFC 2033 §4.1
inline constexpr Fixed kNotImplemented{502, "502 5.5.1 Command not implemented\r\n"};
inline constexpr Fixed kNoAuth{502, "502 5.5.1 AUTH is not offered\r\n"};
inline constexpr Fixed kNoTls{502, "502 5.5.1 TLS is not available\r\n"};
inline constexpr Fixed kNoXclient{550, "550 5.7.1 XCLIENT is not for you\r\n"};
inline constexpr Fixed kMustStartTls{530,
                                     "530 5.7.0 Must issue a STARTTLS command first\r\n"};  // RFC 3207 §4

// AUTH: RFC 4954 §6.
inline constexpr Fixed kMustAuthenticate{530, "530 5.7.0 Authentication is required\r\n"};
inline constexpr Fixed kAuthNeedsTls{538, "538 5.7.11 AUTH needs TLS, send STARTTLS first\r\n"};
inline constexpr Fixed kAuthTwice{503, "503 5.5.1 You are authenticated already\r\n"};
inline constexpr Fixed kAuthInTransaction{503, "503 5.5.1 AUTH must stand outside a transaction\r\n"};
inline constexpr Fixed kAuthUnknown{504, "504 5.5.4 This mechanism is not offered\r\n"};
inline constexpr Fixed kAuthArguments{501, "501 5.5.4 AUTH takes a mechanism and one initial response\r\n"};
inline constexpr Fixed kAuthCancelled{501, "501 5.7.0 Authentication is cancelled\r\n"};
inline constexpr Fixed kAuthLineTooLong{500, "500 5.5.6 The line is too long\r\n"};
inline constexpr Fixed kAuthBadLine{501, "501 5.5.2 The line is no base64\r\n"};
inline constexpr Fixed kAuthDone{235, "235 2.7.0 Authenticated\r\n"};

// Lines that are no commands.
inline constexpr Fixed kLineTooLong{500, "500 5.5.2 Line too long\r\n"};  // RFC 5321 §4.5.3.1.10
inline constexpr Fixed kBareLineFeed{500, "500 5.5.2 A command must end in CRLF\r\n"};  // §2.3.8
inline constexpr Fixed kControlCharacters{500, "500 5.5.2 Control characters in a command\r\n"};
inline constexpr Fixed kEightBit{500, "500 5.5.2 Only addresses may be UTF-8\r\n"};  // RFC 6531 §3.3
inline constexpr Fixed kNoArgumentAllowed{501, "501 5.5.4 This command takes no argument\r\n"};
inline constexpr Fixed kBadXclient{501, "501 5.5.4 ADDR or PORT is none\r\n"};
inline constexpr Fixed kArgumentNeeded{501, "501 5.5.4 An argument is needed\r\n"};

// Bounds.
inline constexpr Fixed kTooManyRecipients{
    452, "452 4.5.3 Too many recipients, send the rest in another transaction\r\n"};
inline constexpr Fixed kTooLarge{552,
                                 "552 5.3.4 The message is larger than SIZE allows\r\n"};  // RFC 1870 §6.1
inline constexpr Fixed kNoSpace{452, "452 4.3.1 No room for the message now\r\n"};
inline constexpr Fixed kTextLineTooLong{554, "554 5.6.0 The message has a line that is too long\r\n"};
inline constexpr Fixed kTooManyErrors{421, "421 4.7.0 Too many errors, closing\r\n"};
inline constexpr Fixed kTooManyCommands{421, "421 4.7.0 Too many commands, closing\r\n"};
inline constexpr Fixed kTooManyIdleCommands{421, "421 4.7.0 Too many commands without mail, closing\r\n"};
inline constexpr Fixed kTooManyTransactions{421,
                                            "421 4.7.0 Too many transactions in one session, closing\r\n"};
inline constexpr Fixed kTooMuchToDiscard{421, "421 4.7.0 Far too much data, closing\r\n"};
inline constexpr Fixed kNotMail{421, "421 4.7.0 This is a mail server, closing\r\n"};  // RFC 5321 §3.8
inline constexpr Fixed kUnknownChunk{421, "421 4.7.0 Cannot tell data from commands, closing\r\n"};

inline constexpr Fixed kBareLineEndings{550, "550 5.6.11 The message has a CR or LF that is no CRLF\r\n"};
inline constexpr Fixed kOurMistake{451, "451 4.3.0 Internal error, try again\r\n"};

}  // namespace postern::smtp::replies
