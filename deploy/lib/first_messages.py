#!/usr/bin/env python3
"""What swaks cannot say: 8-bit text with UTF-8 addresses (SMTPUTF8), and a message in chunks (BDAT). python3's smtplib speaks
the rest. Usage: first_messages.py HOST PORT"""
import smtplib
import sys
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate, make_msgid


def message(sender, recipient, subject, text, policy):
    mail = EmailMessage(policy=policy)
    mail["From"], mail["To"], mail["Subject"] = sender, recipient, subject
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="client.example")
    mail.set_content(text, cte="8bit" if policy is SMTPUTF8 else None)
    return mail.as_bytes()


def main(host, port):
    with smtplib.SMTP(host, int(port), local_hostname="client.example", timeout=20) as client:
        client.ehlo()
        sender, recipient = "用户@例え.example", "δοκιμή@quickstart.example"
        octets = message(sender, recipient, "Grüße: 8-bit text, UTF-8 addresses", "Åse says: naïve café, 你好.\n", SMTPUTF8)
        refused = client.sendmail(sender, [recipient], octets, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        print(f"  UTF-8 addresses, 8-bit text      {'taken' if not refused else refused}")

    with smtplib.SMTP(host, int(port), local_hostname="client.example", timeout=20) as client:
        client.ehlo()
        octets = message("chunks@client.example", "anna@quickstart.example", "In three chunks", "This message came by BDAT.\n", SMTP)
        client.mail("chunks@client.example")
        client.rcpt("anna@quickstart.example")
        third = len(octets) // 3
        pieces = [octets[:third], octets[third:2 * third], octets[2 * third:]]
        for index, piece in enumerate(pieces):
            client.putcmd(f"BDAT {len(piece)}{' LAST' if index == len(pieces) - 1 else ''}")
            client.send(piece)
            code, text = client.getreply()
            if code != 250:
                sys.exit(f"BDAT was answered with {code} {text.decode()}")
        print(f"  BDAT, three chunks               {code} {text.decode()}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
