#!/usr/bin/env python3
"""Draws test accuracy and learning rate of a training log: plot_log.py LOG OUT.svg

Prints the accuracies as a Markdown table too. Needs nothing beyond Python.
"""
import re
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 420, 60, 70, 40, 50


def read(path):
    accuracies, rates, iteration = [], [], 0
    for line in open(path):
        if found := re.search(r"Iteration (\d+), Testing net", line):
            iteration = int(found[1])
        elif found := re.search(r"Test net output #\d+: accuracy = ([\d.]+)", line):
            accuracies.append((iteration, float(found[1])))
        elif found := re.search(r"Iteration (\d+), lr = (\S+)", line):
            rates.append((int(found[1]), float(found[2])))
    return accuracies, rates


def polyline(points, last, top, color, width):
    def place(x, y):
        across = LEFT + x / last * (WIDTH - LEFT - RIGHT)
        return f"{across:.1f},{HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM):.1f}"

    path = " ".join(place(x, y) for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"/>'


def text(x, y, words, anchor="middle", color="#222"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{words}</text>'


def draw(accuracies, rates):
    last, top_rate = accuracies[-1][0], max(rate for _, rate in rates)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(WIDTH / 2, 22, f"Test accuracy, {accuracies[-1][1] * 100:.2f} % at iteration {last}, and learning rate"),
    ]
    for step in range(0, 11, 2):
        y = HEIGHT - BOTTOM - step / 10 * (HEIGHT - TOP - BOTTOM)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(text(LEFT - 8, y + 4, f"{step * 10} %", "end", "#1f5fa8"))
        parts.append(text(WIDTH - RIGHT + 8, y + 4, f"{top_rate * step / 10:.3f}", "start", "#c06a1d"))
    for iteration in range(0, last + 1, 5000):
        x = LEFT + iteration / last * (WIDTH - LEFT - RIGHT)
        parts.append(text(x, HEIGHT - BOTTOM + 20, f"{iteration:,}"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "iteration"))
    parts.append(polyline(rates, last, top_rate, "#c06a1d", 1))
    parts.append(polyline(accuracies, last, 1.0, "#1f5fa8", 2))
    return "\n".join(parts + ["</svg>", ""])


accuracies, rates = read(sys.argv[1])
with open(sys.argv[2], "w") as out:
    out.write(draw(accuracies, rates))
print("| iteration | test accuracy |\n|---|---|")
for iteration, accuracy in accuracies:
    print(f"| {iteration:,} | {accuracy * 100:.2f} % |")
