/**
 * What a provider of ONNX Runtime's has kernels for, where providers differ. The lowering asks this for the few ops that it
 * writes in more than one way.
 */
export interface OnnxDialect {
  /** The type in which indices come in: the vocabulary's own, or the one that the device computes with. */
  readonly indices: "int64" | "int32";
  /**
   * How a weight [out, in] is read as it lies in its file. `fused`: FusedMatMul. `convolution`: a convolution of 1x1, whose weights
   * the provider turns on the device, once. Gemm would do as well, but wants shapes joined around it.
   */
  readonly linear: "fused" | "convolution";
  /**
   * How picture sizes reach a Resize or a Reshape. `joined`: whole shapes, put together from parts. `apart`: only what is
   * a Shape's own answer, where the parts' joining has no kernel.
   */
  readonly sizes: "joined" | "apart";
  /**
   * How many input channels a convolution is given where the network has `channels`: as many, or, with zeros behind them, a
   * number for which the provider's kernel is right.
   */
  convolutionChannels(channels: number): number;
  /**
   * `as-is`: normalisations get what is to be normalised. `centred`: its mean is taken from it beforehand, where the kernels'
   * variance is a difference of squares, which is lost in rounding where the mean is large beside the deviation.
   */
  readonly norms: "as-is" | "centred";
  /**
   * The epsilon that every InstanceNormalization gets, where the provider's kernel keeps the first that it sees for all. Undefined:
   * each has its own.
   */
  readonly onlyEpsilon: number | undefined;
  /**
   * `fused`: MultiHeadAttention. `products`: two matrix products with a softmax between them, whose scores [N, heads, T, S] lie
   * in memory.
   */
  attention(shape: AttentionShape): "fused" | "products";
}

/** What decides which kernel an attention takes. */
export interface AttentionShape {
  /** Channels of one head. */
  readonly headWidth: number;
  readonly causal: boolean;
}

/** The CPU provider's: everything has one kernel. */
export const CPU_DIALECT: OnnxDialect = {
  indices: "int64",
  linear: "fused",
  sizes: "joined",
  convolutionChannels: (channels) => channels,
  norms: "as-is",
  onlyEpsilon: undefined,
  attention: () => "fused",
};
