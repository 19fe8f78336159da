#!/usr/bin/env bash
# docs/features.md promises a test for each feature: the tests and the cases that it names exist, and
# no row is without one.
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}

exec perl - "$source" <<'PERL'
use strict;
use warnings;

my ($source) = @ARGV;
my ($rows, $failed, %texts) = (0, 0);

sub fail { print STDERR "features: @_\n"; $failed = 1; }

# The text of a test, of C, a script or one of the JavaScript module's; undef: there is none.
sub text_of {
  my ($name) = @_;
  (my $other = $name) =~ s{^node/}{};
  for my $file ("test/$name.c", "test/$name.sh", "node/test/$other.test.js") {
    open(my $in, '<', "$source/$file") or next;
    local $/;
    return $texts{$name} //= <$in>;
  }
  return undef;
}

# The whole name of a case, or how some begin: "W13_...".
sub has_case {
  my ($text, $case) = @_;
  my $end = $case =~ s/\.\.\.$// ? '' : '\b';
  return $text =~ /(?:cmocka_unit_test\w*|WITH_EACH)\(\Q$case\E$end/ || $text =~ /^\Q$case\E$end\w*\(\) \{/m ||
         $text =~ /\btest\(['"`]\Q$case\E/;
}

# `NAME` or `NAME`: CASE, CASE
sub check_part {
  my ($part) = @_;
  my ($name, $cases) = $part =~ /^`([a-z0-9\/.-]+)`(?:: (.+))?$/ or return fail(qq("$part" names no test));
  my $text = text_of($name);
  return fail("there is no test $name") unless defined $text;
  for my $case (split /, /, $cases // '') {
    fail("$name has no case $case") unless $case =~ /^\w+(\.\.\.)?$/ && has_case($text, $case);
  }
}

open(my $table, '<', "$source/docs/features.md") or die "features: $source/docs/features.md: $!\n";
while (my $line = <$table>) {
  my ($cell) = $line =~ /^\|.*\|\s*([^|]*?)\s*\|$/ or next;
  next if $cell =~ /^-+$/ || $cell eq 'test';
  $rows++;
  next if $cell =~ /^not a test: /;
  $cell =~ s/ *\([^)]*\)//g; # what is in brackets is said to people
  fail("a row names no test: $line") if $cell eq '';
  check_part($_) for split /; /, $cell;
}
fail("only $rows rows were found") if $rows < 50;
exit $failed;
PERL
