# Measures by data.table, by group: published formulas, no jackknife. Prints the seconds after reading.
suppressMessages(library(data.table))
rows <- fread(commandArgs(TRUE)[[1]])
begin <- proc.time()[["elapsed"]]
z <- qnorm(0.975)
truth <- 0.5
out <- rows[, {
  n <- .N
  e <- b - truth
  s2 <- se^2
  lower <- b - z * se
  upper <- b + z * se
  m <- mean(b)
  S <- sd(b)
  M <- sqrt(mean(s2))
  covered <- mean(lower <= truth & truth <= upper)
  centred <- mean(lower <= m & m <= upper)
  rejected <- mean(abs(b) >= z * se)
  list(bias = mean(e), bias_mcse = sd(e) / sqrt(n), relative = mean(e / truth), relative_mcse = sd(e / truth) / sqrt(n),
       empse = S, empse_mcse = S / sqrt(2 * (n - 1)), mse = mean(e^2), mse_mcse = sd(e^2) / sqrt(n),
       covered = covered, covered_mcse = sqrt(covered * (1 - covered) / n),
       centred = centred, centred_mcse = sqrt(centred * (1 - centred) / n),
       rejected = rejected, rejected_mcse = sqrt(rejected * (1 - rejected) / n),
       width = mean(upper - lower), width_mcse = sd(upper - lower) / sqrt(n),
       model_se = M, model_se_mcse = sqrt(var(s2) / (4 * n * M^2)), relative_error = 100 * (M / S - 1),
       relative_error_mcse = 100 * M / S * sqrt(var(s2) / (4 * n * M^4) + 1 / (2 * (n - 1))), median = median(b))
}, by = .(condition, method)]
cat(proc.time()[["elapsed"]] - begin, "\n")
