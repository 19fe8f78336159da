#!/usr/bin/env perl
# starttls-peer.pl PROTOCOL BACKEND [TWIST [PATH]]: a server on a free port of the loopback, which it prints, or
# on the Unix socket PATH, that talks PROTOCOL with its clients until they turn to TLS, and from then on passes bytes
# to the TLS server on port BACKEND. With `inject` it sends a line of cleartext after its last word, with `refuse`
# it says no, with `bytes` it says all byte by byte, with `late` it injects once the client began with TLS.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(IPPROTO_TCP TCP_NODELAY);

my ($protocol, $backend, $twist, $path) = (@ARGV, '');
my %lines = (
  smtp => [
    "220-mail.example\r\n220 ESMTP\r\n", "EHLO", "250-mail.example\r\n250-SIZE 1000\r\n250 STARTTLS\r\n",
    "STARTTLS", "220 go ahead\r\n", "454 not today\r\n"],
  imap => ["* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", "a STARTTLS", "* some news\r\na OK go\r\n", "a NO\r\n"],
  pop3 => ["+OK ready\r\n", "STLS", "+OK go\r\n", "-ERR no\r\n"],
  ftp => ["220-Welcome\r\n all of you\r\n220 ready\r\n", "AUTH TLS", "234 go\r\n", "500 what?\r\n"],
  nntp => ["200 ready\r\n", "STARTTLS", "382 go\r\n", "580 no\r\n"],
  sieve => ["\"IMPLEMENTATION\" \"test\"\r\n\"STARTTLS\"\r\nOK \"ready\"\r\n", "STARTTLS", "OK\r\n", "NO\r\n"],
  xmpp => [
    undef, "version='1.0'>",
    "<?xml version='1.0'?><stream:stream><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    "<starttls", "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<failure/></stream:stream>"],
  ldap => [undef, "1.3.6.1.4.1.1466.20037", "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
    "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"],
  postgres => [undef, "\x04\xd2\x16\x2f", "S", "N"],
  mysql => ["\x2c\x00\x00\x00\x0a5.5.5-test\x00" . "\x01\x00\x00\x00" . "12345678\x00" . "\xff\xff" . ("\x00" x 17),
    undef, undef, undef],
);
my @script = @{$lines{$protocol} or die "no protocol $protocol\n"};
my $no = pop @script;
my $yes = $script[-1];
if ($twist eq 'refuse') {
  $script[-1] = $no;
  # the bit for TLS is not among the abilities
  $script[0] =~ s/\xff\xff/\xff\xf7/ if $protocol eq 'mysql';
}
$script[$protocol eq 'mysql' ? 0 : -1] .= "injected\r\n" if $twist eq 'inject';

my $listener = $path
  ? IO::Socket::UNIX->new(Listen => 9, Local => $path)
  : IO::Socket::INET->new(Listen => 9, LocalAddr => '127.0.0.1', LocalPort => 0);
$listener or die $!;
$| = 1;
print $path ? 1 : $listener->sockport, "\n";
$SIG{ALRM} = sub { exit 1 };
$SIG{CHLD} = 'IGNORE';
alarm 120;
while (my $client = $listener->accept) {
  next if fork;
  alarm 60;
  turn($client);
  pass($client);
  exit 0;
}

sub say_out {
  my ($client, $text) = @_;
  if ($twist ne 'bytes') {
    syswrite $client, $text;
    return;
  }
  setsockopt $client, IPPROTO_TCP, TCP_NODELAY, 1 unless $path;
  syswrite $client, $_ for split //, $text;
}

# Until TLS begins.
sub turn {
  my $client = shift;
  my $heard = '';
  for my $i (0 .. $#script) {
    next unless defined $script[$i];
    if ($i % 2 == 0) {
      say_out($client, $script[$i]);
      next;
    }
    while (index($heard, $script[$i]) < 0) {
      sysread($client, $heard, 4096, length $heard) or exit 0;
    }
    $heard = '';
  }
  if ($protocol eq 'mysql') {    # one packet of 36 bytes, and TLS right behind it
    while (length $heard < 36) { sysread($client, $heard, 36 - length $heard, length $heard) or exit 0; }
  }
  exit 0 if $twist eq 'refuse';
}

# Both ways, until both have ended.
sub pass {
  my $client = shift;
  my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $backend) or die $!;
  my $both = IO::Select->new($client, $server);
  my $open = 2;
  while ($open) {
    for my $from ($both->can_read) {
      my $to = $from == $client ? $server : $client;
      my $n = sysread $from, my $bytes, 65536;
      if (!$n) {
        $both->remove($from);
        shutdown $to, 1;
        $open--;
        next;
      }
      syswrite $client, "injected\r\n" if $twist eq 'late' && $from == $client;
      syswrite $to, $bytes;
    }
  }
}
