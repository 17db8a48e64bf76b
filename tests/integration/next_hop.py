"""A next hop that behaves as it is told: an SMTP server of a few lines, for tests of what goes out."""
import socket
import threading


class Hop:
    """Takes mail on a port of its own. `mode` says how it treats the next command; `taken` is what it answered 250 for."""

    def __init__(self, address="127.0.0.1", port=0, extensions=("PIPELINING", "8BITMIME", "SIZE 0")):
        self.extensions = extensions
        self.mode = {}  # "greeting", "mail", "data", "message": reply lines; "rcpt": {address: reply}; "drop": a stage
        self.taken = []  # (sender, [recipients], octets)
        self.attempts = 0
        self.connections = 0
        self.changed = threading.Condition()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.address, self.port = self.listener.getsockname()
        self.listener.listen(128)
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def target(self):
        return f"{self.address}:{self.port}"

    def close(self):
        self.listener.close()
        with self.changed:
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def wait(self, predicate, seconds=30):
        with self.changed:
            return self.changed.wait_for(lambda: predicate(self), seconds)

    def bodies(self):
        with self.changed:
            return [octets for _, _, octets in self.taken]

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.connections += 1
                self.open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self._dialogue(connection, connection.makefile("rb"))
        except OSError:
            pass
        finally:
            with self.changed:
                self.open.discard(connection)
            connection.close()

    def _dialogue(self, connection, lines):
        def say(text):
            connection.sendall(text.encode() + b"\r\n")

        greeting = self.mode.get("greeting", "220 hop.test ready")
        say(greeting)
        sender, recipients = None, []
        while True:
            line = lines.readline()
            if not line:
                return
            text = line.decode("latin-1").rstrip("\r\n")
            verb = text[:4].upper()
            if verb == "EHLO":
                names = ["hop.test", *self.extensions]
                for i, name in enumerate(names):
                    say(f"250{'-' if i + 1 < len(names) else ' '}{name}")
            elif verb == "MAIL":
                with self.changed:
                    self.attempts += 1
                    self.changed.notify_all()
                if self.mode.get("drop") == "mail":
                    return
                reply = self.mode.get("mail", "250 2.1.0 ok")
                sender, recipients = (text[text.index("<") + 1:text.index(">")], []) if reply[0] == "2" else (None, [])
                say(reply)
            elif verb == "RCPT":
                address = text[text.index("<") + 1:text.index(">")]
                replies = self.mode.get("rcpt", {})
                reply = replies.get(address, replies.get("*", "250 2.1.5 ok"))
                if sender is None:
                    reply = "503 5.5.1 MAIL first"
                if reply[0] == "2":
                    recipients.append(address)
                say(reply)
            elif verb == "DATA":
                reply = self.mode.get("data", "354 go on")
                if not recipients:
                    reply = "554 5.5.1 nobody"
                say(reply)
                if reply[0] != "3":
                    continue
                octets = bytearray()
                while True:
                    line = lines.readline()
                    if not line:
                        return
                    if line == b".\r\n":
                        break
                    octets += line[1:] if line.startswith(b".") else line
                drop = self.mode.get("drop") == "dot"
                reply = self.mode.get("message", "250 2.0.0 taken")
                if reply[0] == "2":
                    with self.changed:
                        self.taken.append((sender, list(recipients), bytes(octets)))
                        self.changed.notify_all()
                if drop:
                    return
                say(reply)
                sender, recipients = None, []
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok")
