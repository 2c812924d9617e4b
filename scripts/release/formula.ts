/** The formula for Homebrew (https://docs.brew.sh/Formula-Cookbook), with the digests of the archives. */

const PLATFORMS = [
  ["macos", "arm", "macos-arm64"],
  ["macos", "intel", "macos-x64"],
  ["linux", "arm", "linux-arm64"],
  ["linux", "intel", "linux-x64"],
] as const;

interface FormulaOptions {
  readonly version: string;
  /** The folder on the web that the archives will be in. */
  readonly url: string;
  /** By the name of the target: the archive, and its SHA-256 in hex. */
  readonly archives: ReadonlyMap<string, { readonly name: string; readonly sha256: string }>;
}

/** @throws Error if an archive is missing */
export function formula({ version, url, archives }: FormulaOptions): string {
  const blocks = PLATFORMS.map(([system, cpu, target]) => {
    const found = archives.get(target);
    if (found === undefined) throw new Error(`the formula needs an archive for ${target}`);
    return `  on_${system} do
    on_${cpu} do
      url "${url}/${found.name}"
      sha256 "${found.sha256}"
    end
  end`;
  });
  return `class Mongotap < Formula
  desc "Copies MongoDB collections, and their changes as they happen, into NDJSON"
  homepage "${url}"
  version "${version}"
  license "Apache-2.0"

${blocks.join("\n\n")}

  def install
    bin.install "mongotap"
    bin.install_symlink "mongotap" => "source-mongotap"
    bin.install_symlink "mongotap" => "tap-mongotap"
    man1.install "man/mongotap.1"
    bash_completion.install "completions/mongotap.bash" => "mongotap"
    zsh_completion.install "completions/_mongotap"
    fish_completion.install "completions/mongotap.fish"
    doc.install "README.md", "THIRD-PARTY-NOTICES.txt"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/mongotap --version")
  end
end
`;
}
