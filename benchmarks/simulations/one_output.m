function r = one_output()
r = sum(randn(20, 1)) / 20;
end
