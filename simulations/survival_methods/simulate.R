# Exponential, Weibull and Cox models of the same survival data. How well does each estimate the log hazard ratio?
library(survival)

# n: patients, at least 4; gamma: shape of the Weibull distribution of times (1: exponential), above 0; theta:
# log hazard ratio of treatment; lambda: rate, above 0; followup: years after which all who are alive are
# censored.
# A row for each model: estimate of theta and its standard error.
simulate <- function(n, gamma, theta = -0.5, lambda = 0.1, followup = 5) {
  stopifnot(n >= 4, n == round(n), gamma > 0, lambda > 0, followup > 0)
  treated <- rbinom(n, 1, 0.5)
  time <- (-log(runif(n)) / (lambda * exp(theta * treated)))^(1 / gamma)
  dead <- time < followup
  fits_of(Surv(pmin(time, followup), dead), treated)
}

fits_of <- function(patients, treated) {
  fits <- list(
    exponential = from_accelerated(survreg(patients ~ treated, dist = "exponential")),
    weibull = from_accelerated(survreg(patients ~ treated, dist = "weibull")),
    cox = from_hazards(coxph(patients ~ treated))
  )
  data.frame(method = names(fits), do.call(rbind, fits), row.names = NULL)
}

# survreg() models log time as a + b treated + scale * error: the log hazard ratio is -b / scale. Its variance is that
# of the delta method.
from_accelerated <- function(fit) {
  b <- coef(fit)[["treated"]]
  variances <- vcov(fit)[-1, -1, drop = FALSE] # of b, and of log(scale) where that is estimated
  gradient <- (c(-1, b) / fit$scale)[seq_len(nrow(variances))]
  c(estimate = -b / fit$scale, se = sqrt(drop(gradient %*% variances %*% gradient)))
}

from_hazards <- function(fit) c(estimate = coef(fit)[["treated"]], se = sqrt(vcov(fit)[1, 1]))
