# Seeds of whole scripts; seeds.py tells how they are made. Numbers are pairs of halves, of 16 bits each.

permuted <- function(halves, keys, word) {
  for (key in keys)
    halves <- c(halves[2L], bitwXor(halves[1L], (key * (1 + halves[2L] + 65536 * word)) %% 2147483647 %/% 32768))
  halves
}

# The seeds of the processes of one replication, as text.
seeds_of_ranks <- function(replication, keys, ranks) {
  numbers <- (replication + (seq_len(ranks) - 1) * (2147483648 %/% ranks)) %% 2147483648
  paste(vapply(numbers, function(number) seeds_of(number, keys)[["SIMFERRY_SEED"]], ""), collapse = ",")
}

# SIMFERRY_SEED, and SIMFERRY_SEED_HEX, as text
seeds_of <- function(replication, keys) {
  number <- c(replication %/% 65536, replication %% 65536)
  seed <- permuted(number, keys, 0)
  while (seed[1L] >= 32768) seed <- permuted(seed, keys, 0)
  hex <- vapply(1:4, function(word) do.call(sprintf, c("%04x%04x", as.list(as.integer(permuted(number, keys, word))))),
                "")
  c(SIMFERRY_SEED = sprintf("%d", as.integer(seed[1L] * 65536 + seed[2L])),
    SIMFERRY_SEED_HEX = paste(hex, collapse = ""))
}
